"""Which offerings there are, and which nodes hold them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from federation.source_selection import Snapshot
from topology import records
from topology.gateway.replicas.selector import Copy, Directory
from topology.records import OfferingHead

_REST = 10  # times what making a list took


class Listed(NamedTuple):
    """An offering.

    Attributes:
        graph: Its IRI, which is the name of its graph.
        address: Its address on the ledger; empty where there is none.
        owner: The owner that the ledger names; empty where none is known.
        name: The name that the ledger gives; empty where none is known.
        nodes: Ids of the nodes that hold a copy, sorted.
    """

    graph: str
    address: str = ""
    owner: str = ""
    name: str = ""
    nodes: tuple[str, ...] = ()


class Finder(Protocol):
    """What the gateway asks to find graphs."""

    def graph_of(self, identifier: str) -> str | None:
        """The graph of an offering, by its ledger address or by its own IRI; ``None`` when it is unknown."""

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """What one query is to see, from other nodes than those to avoid."""


class Listing:
    """The offerings that a finder knows, sorted by graph. May be used by many threads.

    However often they change and somebody asks, most of the time is left for other work: a list that took long to make is kept
    for some time.

    Args:
        finder: A :class:`Directory` tells what the ledger lists; any other one is believed to know graphs alone.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._lock = threading.Lock()
        self._seen: Snapshot | None = None
        self._listed: Sequence[Listed] = ()
        self._good_until = 0.0

    def __call__(self) -> Sequence[Listed]:
        """The offerings as they are now, or were a moment ago."""
        with self._lock:
            start = time.monotonic()
            if start < self._good_until:
                return self._listed
            snapshot = self._finder.snapshot()
            if snapshot is not self._seen:  # finders give the same one until something has changed
                self._listed = self._look(snapshot)
                self._seen = snapshot
                end = time.monotonic()
                self._good_until = end + _REST * (end - start)
            return self._listed

    def _look(self, snapshot: Snapshot) -> Sequence[Listed]:
        if isinstance(self._finder, Directory):
            return list_offerings(self._finder.claims.copy(), self._finder.copies.copy())
        return [Listed(graph, nodes=(holder,) if holder else ()) for graph, holder in sorted(snapshot.holders.items())]


def list_offerings(claims: Mapping[str, OfferingHead], copies: Mapping[str, Copy]) -> list[Listed]:
    """The offerings that the ledger lists; where several addresses claim a graph, the first claim counts.

    Args:
        claims: Claims by address.
        copies: Copies by :func:`~topology.records.placement_key`.
    """
    rightful: dict[str, tuple[int, str]] = {}
    for address, claim in claims.items():
        standing = (claim.claimed_at, address)
        rightful[claim.graph] = min(standing, rightful.get(claim.graph, standing))
    nodes: dict[str, list[str]] = defaultdict(list)
    for key, copy in copies.items():
        if copy.digest:
            node, graph = records.split_placement_key(key)
            nodes[graph].append(node)
    return [
        Listed(graph, address, claims[address].owner, claims[address].name, tuple(sorted(nodes.get(graph, ()))))
        for graph, (_, address) in sorted(rightful.items())
    ]
