"""Consuming: polling Kafka, dispatching electrons to lanes, and committing finished offsets."""
