"""Selects the node to read each graph from, by the nodes' own lists alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from federation.source_selection import Snapshot, Source
from topology.gateway.offering_list import ListedOffering, OfferingList
from topology.gateway.replicas.inventory import GraphsByNode
from topology.gateway.replicas.missing import MissingCopies
from topology.gateway.replicas.ranking import by_rendezvous, fingerprint
from topology.gateway.replicas.snapshot_cache import SnapshotCache
from topology.ring import RingView

_WRAP = 2**64


class FixedReplicaSelector:
    """Selects the node to read each graph from, among nodes that Catena places nothing on.

    A graph that several nodes list is read from one of them, so it counts once, blank nodes included.

    The first snapshot waits until the nodes have been asked, so that no answer is made of less than there is.

    Args:
        ring: Returns the current nodes.
        graphs_by_node: Returns the graphs that the nodes list.
        is_complete: Tells whether all nodes that can be asked have been asked.
        first_snapshot_within: Seconds from now until the first snapshot is taken at the latest.
    """

    def __init__(
        self,
        ring: Callable[[], RingView],
        graphs_by_node: Callable[[], GraphsByNode],
        is_complete: Callable[[], bool],
        first_snapshot_within: float,
    ) -> None:
        self._ring = ring
        self._graphs_by_node = graphs_by_node
        self._is_complete = is_complete
        self._deadline = time.monotonic() + first_snapshot_within
        self._began = threading.Event()
        self._lock = threading.Lock()
        self._changes = 0
        self._listed: dict[str, frozenset[str]] = {}
        self._fingerprints: dict[str, int] = {}
        self._choices: dict[str, tuple[str, ...]] = {}  # the nodes that list a graph, in reading order
        self._snapshots = SnapshotCache()
        self._offering_list = OfferingList(lambda: (self.snapshot(),), self._list_offerings, rest=0.0)

    def nodes_changed(self, *_: Any) -> None:
        """Note that a node or its graphs have changed."""
        self._changes += 1
        if not self._began.is_set() and self._is_complete():
            self._began.set()

    def wait_until_complete(self) -> None:
        """Wait until the nodes have been asked for their graphs, or until the deadline of the first snapshot."""
        if not self._began.is_set():
            self._began.wait(max(0.0, self._deadline - time.monotonic()))
            self._began.set()

    def graph_of(self, identifier: str) -> str | None:
        """Return the graph of this name; ``None`` if no node lists it."""
        return identifier if identifier in self.snapshot().source_of else None

    def offerings(self) -> Sequence[ListedOffering]:
        """Return the graphs that the nodes list, sorted by name."""
        return self._offering_list()

    def conflicts(self) -> Mapping[str, Sequence[str]]:
        """Return none: Catena places nothing on fixed nodes."""
        return {}

    def problems(self) -> Mapping[str, str]:
        """Return none: nothing is written to fixed nodes."""
        return {}

    def missing(self) -> MissingCopies:
        """Return that no copy is missing: nothing is placed on fixed nodes."""
        return MissingCopies()

    def ledger_listing(self) -> Sequence[ListedOffering]:
        """Return the same: there is no ledger."""
        return self.offerings()

    def owner_of(self, address: str) -> str | None:
        """Return ``None``: there is no ledger."""
        return None

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """Return the nodes and graphs that one query sees.

        Its version stands for the set of graphs, not for their content, which changes without notice.

        Args:
            avoid: Ids of nodes that have just failed; they count as down.
        """
        self.wait_until_complete()
        with self._lock:
            changes = self._changes
            return self._snapshots.get(avoid, changes, lambda: self._refresh_and_take(avoid, changes))

    def _list_offerings(self) -> list[ListedOffering]:
        with self._lock:
            return [
                ListedOffering(graph=graph, nodes=tuple(sorted(nodes)))
                for graph, nodes in sorted(self._choices.items())
            ]

    def _refresh_and_take(self, avoid: frozenset[str], changes: int) -> Snapshot:
        ring = self._ring()
        graphs_by_node = self._graphs_by_node()
        self._refresh(graphs_by_node)
        # A node may come back with other graphs than it listed before it went away.
        current = {name for name, listed in graphs_by_node.items() if listed.is_current}
        return self._take(ring, current, avoid, changes)

    def _refresh(self, graphs_by_node: GraphsByNode) -> None:
        listed = {node: one.graphs for node, one in graphs_by_node.items() if one.graphs is not None}
        for node in self._listed.keys() | listed.keys():
            before, now = self._listed.get(node, frozenset()), listed.get(node, frozenset())
            if before is now:
                continue
            for graph in before - now:
                left = tuple(other for other in self._choices.pop(graph) if other != node)
                if left:
                    self._choices[graph] = left
                else:
                    del self._fingerprints[graph]
            for graph in now - before:
                others = self._choices.get(graph, ())
                self._choices[graph] = by_rendezvous(graph, (*others, node)) if others else (node,)
                if not others:
                    self._fingerprints[graph] = fingerprint("own", graph)
        self._listed = listed

    def _take(self, ring: RingView, current: set[str], avoid: frozenset[str], changes: int) -> Snapshot:
        usable = {node.id for node in ring.nodes.values() if node.state == "up"} & current - avoid
        holders: dict[str, str] = {}
        missing = set(ring.nodes.keys() - self._listed.keys())
        for graph, nodes in self._choices.items():
            holders[graph] = next((node for node in nodes if node in usable), "")
            if not holders[graph]:
                missing.update(nodes)
        readable = frozenset(graph for graph, holder in holders.items() if holder)
        marks = sum(map(self._fingerprints.__getitem__, readable)) + sum(
            fingerprint("missing", node) for node in missing
        )
        return Snapshot(
            sources=tuple(Source(node, ring.nodes[node].sparql_url) for node in sorted(usable)),
            source_of=holders,
            unavailable=tuple(sorted(missing)),
            version=f"fixed-{marks % _WRAP:016x}",
            revision=changes,
            untracked=readable,
        )
