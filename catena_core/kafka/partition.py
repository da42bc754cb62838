"""The name of a partition, as all parts of the library use it."""

Partition = tuple[str, int]
"""A topic and a number."""
