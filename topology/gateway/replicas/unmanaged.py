"""The graphs that providers put on nodes by themselves: nobody placed them, so only the nodes' own listings tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Listing(NamedTuple):
    """What a node says it holds.

    Attributes:
        graphs: The graphs that it held when it was asked last; ``None``: it has never said.
        began: When it was asked that, by ``time.monotonic()``.
        is_current: Whether it has been asked since it came up, whatever it said.
    """

    graphs: frozenset[str] | None = None
    began: float = 0.0
    is_current: bool = True


Listings = Mapping[str, Listing]
"""What each node that is on the ring says, by its id."""


class OwnGraphs:
    """Each node's graphs that the catalogue knows nothing of.

    What was known when it was listed does not become a node's own when the catalogue forgets it: it was deleted then, and the
    listing is the older of the two.

    Args:
        is_known: Whether the catalogue knows a graph.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._listed: dict[str, frozenset[str]] = {}
        self._own: dict[str, set[str]] = {}

    def refresh(self, listings: Listings) -> None:
        """Take note of what nodes list by now."""
        for node in self._listed.keys() - listings.keys():
            del self._listed[node], self._own[node]
        for node, listing in listings.items():
            if listing.graphs is not None and self._listed.get(node) is not listing.graphs:
                self._listed[node] = listing.graphs
                self._own[node] = {graph for graph in listing.graphs if not self._is_known(graph)}

    def discard(self, graphs: Iterable[str]) -> None:
        """Take note of graphs that have become known."""
        for own in self._own.values():
            own.difference_update(graphs)

    def of(self, node: str) -> set[str]:
        """The graphs that are a node's own."""
        return self._own.get(node, set())

    def places(self, nodes: Iterable[str]) -> dict[str, list[str]]:
        """Which of some nodes hold each graph that is a node's own."""
        places: dict[str, list[str]] = {}
        for node in nodes:
            for graph in self.of(node):
                places.setdefault(graph, []).append(node)
        return places

    def was_listed(self, node: str) -> bool:
        """Whether a node has ever told what it holds."""
        return node in self._own
