"""Kafka's client: its configuration, the first connection, and the bounds of partitions."""
