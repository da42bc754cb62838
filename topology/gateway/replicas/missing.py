"""Missing and refused copies: how many there are, and on which nodes."""

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
        refused: The number of graphs that each node should hold and refuses, or whose deletion it refuses, by the node's id.
        at_fault: The nodes that are at fault themselves: they refuse a deletion, or more graphs than they take. Any stranger
            can publish a description that some kind of node refuses, and no operator can mend that.
    """

    total: int = 0
    by_node: Mapping[str, int] = {}
    refused: Mapping[str, int] = {}
    at_fault: frozenset[str] = frozenset()


class Shortage(NamedTuple):
    """The shortage of one graph.

    Attributes:
        missing: The number of copies that it lacks.
        lacking: The nodes that should hold one of them.
        refusing: The nodes that refuse the graph.
        keeping: The nodes that refuse its deletion.
    """

    missing: int
    lacking: list[str]
    refusing: list[str]
    keeping: list[str]


class Shortages(NamedTuple):
    """The shortages of all graphs.

    Attributes:
        graphs: The shortage of each graph that has one.
        taken: The number of graphs that each node holds, by the node's id.
    """

    graphs: list[Shortage]
    taken: Mapping[str, int]


class MissingCount:
    """The current number of missing copies. May be used by many threads.

    Args:
        shortages: Returns the shortages of all graphs.
    """

    def __init__(self, shortages: Callable[[], Shortages]) -> None:
        self._shortages = shortages
        self._lock = threading.Lock()
        self._count = MissingCopies()
        self._good_until = 0.0

    def __call__(self) -> MissingCopies:
        """Return the count as it is now, or was a moment ago."""
        with self._lock:
            start = time.monotonic()
            if start >= self._good_until:
                self._count = _count(*self._shortages())
                end = time.monotonic()
                self._good_until = end + _REST * (end - start)
            return self._count


def _count(graphs: list[Shortage], taken: Mapping[str, int]) -> MissingCopies:
    refused = Counter(node for one in graphs for node in one.refusing)
    kept = Counter(node for one in graphs for node in one.keeping)
    return MissingCopies(
        sum(one.missing for one in graphs),
        Counter(node for one in graphs for node in one.lacking),
        refused + kept,
        frozenset(kept) | {node for node, number in refused.items() if number > taken.get(node, 0)},
    )
