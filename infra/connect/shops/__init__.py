"""The messages of shops, one module for each kind, and what they have in common. Pure."""
