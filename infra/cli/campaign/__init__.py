"""`tidegate campaign`: one module for each of its commands."""
