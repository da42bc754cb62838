"""Copies that a node acknowledged once and does not list any more: it was started again with less than it had, most likely."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from topology.gateway.replicas.unmanaged import Listing, Listings


class Losses:
    """Tells which acknowledged copies nodes do not list, though they would have to.

    The writer finds such losses as well, and has them written again, but only when the monitor has seen that the node was away.

    A copy that was acknowledged while a node was listed may be missing in that listing, so it counts from the next one on.

    Args:
        placed_on: Called with a node's id for the graphs of which it acknowledged copies.
    """

    def __init__(self, placed_on: Callable[[str], Iterable[str]]) -> None:
        self._placed_on = placed_on
        self._listings: dict[str, Listing] = {}
        self._acknowledged: dict[str, dict[str, float]] = {}
        self._since = math.inf

    def begin(self) -> None:
        """Take note that any copy may have been acknowledged just now."""
        self._acknowledged = {}
        self._since = time.monotonic()

    def acknowledged(self, node: str, graph: str) -> None:
        """Take note of a copy that was acknowledged just now."""
        self._acknowledged.setdefault(node, {})[graph] = time.monotonic()

    def refresh(self, listings: Listings) -> set[str]:
        """Take note of what nodes list by now; returns the graphs of which copies may have been lost or found by that."""
        again: set[str] = set()
        for node in self._listings.keys() | listings.keys():
            before, now = self._listings.get(node), listings.get(node)
            if before is None or now is None or before.graphs is None or before.began < self._since:
                for one in (before, now):
                    if one is not None and one.graphs is not None:
                        again.update(graph for graph in self._placed_on(node) if graph not in one.graphs)
            elif now.graphs is not None and now.graphs is not before.graphs:
                again |= now.graphs ^ before.graphs
            if now is not None:
                recent = self._acknowledged.get(node, {})
                for graph in [graph for graph, moment in recent.items() if moment < now.began]:
                    del recent[graph]
                    again.add(graph)
        self._listings = dict(listings)
        return again

    def has_lost(self, node: str, graph: str) -> bool:
        """Whether a node has lost the copy of a graph that it acknowledged."""
        listing = self._listings.get(node)
        if listing is None or listing.graphs is None or graph in listing.graphs:
            return False
        return self._acknowledged.get(node, {}).get(graph, self._since) < listing.began
