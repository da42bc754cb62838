"""Replicas: selects the copy of each graph that a query reads."""
