"""Commands below `tidegate simulate` that have a module of their own."""
