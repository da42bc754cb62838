"""Links: small Python programs joined by Kafka topics."""
