"""Consuming: poll Kafka, dispatch electrons to lanes, and have finished offsets committed."""
