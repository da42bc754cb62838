"""Fetching quads from the nodes, and merging them into one copy of each graph."""
