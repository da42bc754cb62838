"""Missing copies: how many there are, and on which nodes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

# A count that took long to make is reused for as many times that long.
_REST = 10.0


class MissingCopies(NamedTuple):
    """The copies that the catalogue lacks.

    Attributes:
        total: Their number: for each graph, by how many it has fewer copies than nodes that should hold it.
        by_node: The number of graphs that each node should hold and does not, by the node's id.
    """

    total: int = 0
    by_node: Mapping[str, int] = {}


class MissingCount:
    """The current number of missing copies. May be used by many threads.

    Args:
        shortages: Returns, for each graph that has too few copies, their number and the nodes that lack it.
    """

    def __init__(self, shortages: Callable[[], list[tuple[int, list[str]]]]) -> None:
        self._shortages = shortages
        self._lock = threading.Lock()
        self._count = MissingCopies()
        self._good_until = 0.0

    def __call__(self) -> MissingCopies:
        """Return the count as it is now, or was a moment ago."""
        with self._lock:
            start = time.monotonic()
            if start >= self._good_until:
                shortages = self._shortages()
                by_node = Counter(node for _, nodes in shortages for node in nodes)
                self._count = MissingCopies(sum(number for number, _ in shortages), by_node)
                end = time.monotonic()
                self._good_until = end + _REST * (end - start)
            return self._count
