"""Files of events into Kafka: schemas, the sender and its pace."""
