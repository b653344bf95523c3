"""From record batches of Kafka to columns; bad records to their dead-letter topic."""
