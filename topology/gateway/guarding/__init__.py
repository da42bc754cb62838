"""The guarding of the gateway's HTTP API: who asks, what they may read, and how often."""
