"""Asking the nodes for quads, and keeping one copy of each graph."""
