"""The second stage: what no partition holds alone, decided from the facts of all of them."""
