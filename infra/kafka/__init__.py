"""Kafka: client options, topics, reading a topic once, publishing, the consumer group."""
