"""Event time: what takes effect at a boundary, and in which order."""
