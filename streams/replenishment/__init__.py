"""The review of an item: its turn, the inputs of the policy, the record of a decision."""
