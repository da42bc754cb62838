"""Fetching descriptions politely: whose turn it is, and what their providers say of the next time."""
