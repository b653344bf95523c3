"""One partition as a pure state: fold, advance, commit, restore."""
