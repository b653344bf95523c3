"""What the page reads from Redis, kept as one snapshot for all who look."""
