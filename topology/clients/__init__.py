"""Clients of the servers that Catena talks to: catalogue nodes, the ledger, providers, and Redis."""
