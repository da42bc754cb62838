"""Delivery: sending outputs and committing offsets, at least once or exactly once."""
