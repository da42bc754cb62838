"""The wire format: electrons as Kafka messages, and the encoding of their values."""
