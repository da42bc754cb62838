"""The gateway's own parts: where each graph is read from, and the HTTP surface."""
