"""The input topics of a link, which it may change while it runs."""

from __future__ import annotations


class Subscription:
    """The topics that a link reads. One thread changes them, the consumer's thread follows.

    Attributes:
        topics: Their names in order; those that begin with ``^`` are regular expressions.
    """

    def __init__(self) -> None:
        self.topics: tuple[str, ...] = ()

    def add(self, topic: str) -> None:
        """Read one topic more from now on."""
        if topic not in self.topics:
            self.topics = (*self.topics, topic)

    def remove(self, topic: str) -> None:
        """Stop to read a topic."""
        self.topics = tuple(name for name in self.topics if name != topic)
