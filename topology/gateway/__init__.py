"""The gateway: the selection of replicas, and the HTTP API."""
