"""What is said of it: the kinds of incidents, their figures, actions and records."""
