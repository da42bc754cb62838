"""The graphs that providers put on nodes by themselves: nobody placed them, so only the nodes' own listings tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Listings = Mapping[str, frozenset[str]]
"""The graphs that each node held when it was last asked, by the node's id."""


class OwnGraphs:
    """Each node's graphs that the catalogue knows nothing of.

    What was known when it was listed does not become a node's own when the catalogue forgets it: it was deleted then, and the
    listing is the older of the two.

    Args:
        is_known: Whether the catalogue knows a graph.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._listings: dict[str, frozenset[str]] = {}
        self._own: dict[str, set[str]] = {}

    def refresh(self, listings: Listings) -> None:
        """Take note of what nodes list by now."""
        for node in self._listings.keys() - listings.keys():
            del self._listings[node], self._own[node]
        for node, graphs in listings.items():
            if self._listings.get(node) is not graphs:
                self._listings[node] = graphs
                self._own[node] = {graph for graph in graphs if not self._is_known(graph)}

    def discard(self, graphs: Iterable[str]) -> None:
        """Take note of graphs that have become known."""
        for own in self._own.values():
            own.difference_update(graphs)

    def of(self, nodes: Iterable[str]) -> set[str]:
        """The graphs that are some nodes' own."""
        return set[str]().union(*(self._own.get(node, ()) for node in nodes))

    def was_listed(self, node: str) -> bool:
        """Whether a node has ever told what it holds."""
        return node in self._own
