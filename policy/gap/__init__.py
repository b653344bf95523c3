"""The fall-back where the lean supplier is more than a review slower: rule and simulation."""
