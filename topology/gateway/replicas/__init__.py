"""Replicas: which copy of each graph a query is read from."""
