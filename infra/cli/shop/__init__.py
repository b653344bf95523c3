"""What the commands around a shop's own files have in common, and the commands."""
