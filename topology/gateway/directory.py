"""Where each graph is read from: the ring, the offerings and the placements put together."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from catena_core.table import TableContent
from topology import records
from topology.federation.sources import Snapshot, Source
from topology.records import OfferingHead, Placement
from topology.ring import RingView


class Copy(NamedTuple):
    """A copy of a graph that a node acknowledged.

    Attributes:
        digest: What it holds; empty for one that the node refused.
        version: The higher is the newer.
    """

    digest: str
    version: int


def decode_copy(_key: str, value: Any) -> Copy:
    """The row that the table of placements keeps."""
    placement = records.from_text(value, Placement)
    return Copy(placement.digest, placement.version)


class Directory:
    """Answers from which node each graph is to be read.

    Args:
        ring: Called for the ring as it is now.

    Attributes:
        claims: Claims by address; usually a table of the topic of offerings.
        copies: Copies by :func:`~topology.records.placement_key`; usually a table of the topic of placements.
    """

    def __init__(self, ring: Callable[[], RingView]) -> None:
        self._ring = ring
        self.claims: TableContent[OfferingHead] | dict[str, OfferingHead] = {}
        self.copies: TableContent[Copy] | dict[str, Copy] = {}
        self._lock = threading.Lock()
        self._changes = 0
        self._snapshots: dict[frozenset[str], tuple[int, Snapshot]] = {}

    def changed(self, *_: Any) -> None:
        """Note that the ring, a claim or a copy has changed."""
        self._changes += 1

    def graph_of(self, identifier: str) -> str | None:
        """The graph of an offering, by its ledger address or by its own IRI; ``None`` when it is unknown."""
        claim = self.claims.get(identifier)
        if claim is not None:
            return claim.graph
        return identifier if any(claim.graph == identifier for claim in self.claims.copy().values()) else None

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """What one query is to see.

        Args:
            avoid: Ids of nodes that have just failed, to be treated as if they were not up.
        """
        with self._lock:
            changes = self._changes
            kept = self._snapshots.get(avoid)
            if kept is not None and kept[0] == changes:
                return kept[1]
            snapshot = take_snapshot(self._ring(), self.claims.copy(), self.copies.copy(), avoid)
            self._snapshots = {held: item for held, item in self._snapshots.items() if item[0] == changes}
            self._snapshots[avoid] = (changes, snapshot)
            return snapshot


def take_snapshot(
    ring: RingView, claims: Mapping[str, OfferingHead], copies: Mapping[str, Copy], avoid: frozenset[str] = frozenset()
) -> Snapshot:
    """Choose a node for each graph: one that is up and holds what the graph is by now, in the ring's order of owners.

    While a new description is on its way to the nodes there may be no such copy; the newest one that can be read serves then.
    A graph that nobody claims any more is withheld, however many copies are still to be deleted.
    """
    usable = {node.id for node in ring.nodes.values() if node.state == "up"} - avoid
    rightful: dict[str, OfferingHead] = {}
    for _, claim in sorted(claims.items()):
        standing = rightful.get(claim.graph)
        if standing is None or claim.claimed_at < standing.claimed_at:
            rightful[claim.graph] = claim
    copies_of: dict[str, dict[str, Copy]] = defaultdict(dict)
    for key, copy in copies.items():
        node, graph = records.split_placement_key(key)
        if copy.digest:
            copies_of[graph][node] = copy
    holders: dict[str, str] = {}
    missing: set[str] = set()
    for graph, held in copies_of.items():
        if graph not in rightful:
            continue
        readable = {node: copy for node, copy in held.items() if node in usable}
        current = {node for node, copy in readable.items() if copy.digest == rightful[graph].digest}
        if current:
            owners = [node for node in ring.owners(graph) if node in current]
            holders[graph] = owners[0] if owners else min(current)
        elif readable:
            holders[graph] = max(readable, key=lambda node: (readable[node].version, node))
        else:
            holders[graph] = ""
            missing |= held.keys()
    return Snapshot(
        sources=tuple(Source(node, f"{ring.nodes[node].url}/sparql") for node in sorted(usable)),
        holders=holders,
        withheld=frozenset(graph for graph in copies_of if graph not in rightful),
        missing=tuple(sorted(missing)),
    )
