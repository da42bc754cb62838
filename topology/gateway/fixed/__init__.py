"""The gateway over a fixed set of nodes, without Kafka."""
