"""Where each graph is read from when nobody placed it: as the nodes themselves say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from federation.source_selection import Snapshot, Source
from topology.gateway.offering_list import Listed
from topology.gateway.replicas.ranking import by_rendezvous, mark
from topology.gateway.replicas.unmanaged import Listings
from topology.ring import RingView

_WRAP = 2**64


class FixedDirectory:
    """Answers from which node each graph is to be read, for nodes that hold whatever their owners put there.

    A graph that several nodes list is read from one of them, so that it counts once, its blank nodes included.

    The first snapshot waits until the nodes have been asked, so that no answer is made of less than what there is.

    Args:
        ring: Called for the nodes as they are now.
        listings: Called for what the nodes say they hold.
        are_asked: Called to learn whether all nodes that can be asked have been.
        patience: Seconds from now until the first snapshot is taken at the latest.
    """

    def __init__(
        self,
        ring: Callable[[], RingView],
        listings: Callable[[], Listings],
        are_asked: Callable[[], bool],
        patience: float,
    ) -> None:
        self._ring = ring
        self._listings = listings
        self._are_asked = are_asked
        self._until = time.monotonic() + patience
        self._began = threading.Event()
        self._lock = threading.Lock()
        self._changes = 0
        self._listed: dict[str, frozenset[str]] = {}
        self._marks: dict[str, int] = {}  # numbers that stand for graphs
        self._choices: dict[
            str, tuple[str, ...]
        ] = {}  # the nodes that list a graph, in the order in which they are asked
        self._snapshots: dict[frozenset[str], tuple[int, Snapshot]] = {}
        self._offerings: tuple[Snapshot | None, Sequence[Listed]] = (None, ())

    def nodes_changed(self, *_: Any) -> None:
        """Note that a node has changed, or what it says it holds."""
        self._changes += 1
        if not self._began.is_set() and self._are_asked():
            self._began.set()

    def wait_until_asked(self) -> None:
        """Wait until the nodes have been asked what they hold, or patience is at an end."""
        if not self._began.is_set():
            self._began.wait(max(0.0, self._until - time.monotonic()))
            self._began.set()

    def graph_of(self, identifier: str) -> str | None:
        """The graph of this name; ``None`` when no node lists one."""
        self.snapshot()
        return identifier if identifier in self._choices else None

    def offerings(self) -> Sequence[Listed]:
        """The graphs that the nodes list, sorted by name."""
        snapshot = self.snapshot()
        with self._lock:
            if self._offerings[0] is not snapshot:
                listed = [Listed(graph, nodes=tuple(sorted(nodes))) for graph, nodes in sorted(self._choices.items())]
                self._offerings = (snapshot, listed)
            return self._offerings[1]

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """What one query is to see.

        Its version stands for the graphs that there are, not for what they say: that changes without notice.

        Args:
            avoid: Ids of nodes that have just failed, to be treated as if they were not up.
        """
        self.wait_until_asked()
        with self._lock:
            changes = self._changes
            kept = self._snapshots.get(avoid)
            if kept is not None and kept[0] == changes:
                return kept[1]
            ring = self._ring()
            listings = self._listings()
            self._refresh(listings)
            # What a node listed before it went says nothing of what it has come back with.
            current = {name for name, listing in listings.items() if listing.is_current}
            snapshot = self._take(ring, current, avoid, changes)
            self._snapshots = {held: item for held, item in self._snapshots.items() if item[0] == changes}
            self._snapshots[avoid] = (changes, snapshot)
            return snapshot

    def _refresh(self, listings: Listings) -> None:
        listed = {node: listing.graphs for node, listing in listings.items() if listing.graphs is not None}
        for node in self._listed.keys() | listed.keys():
            before, now = self._listed.get(node, frozenset()), listed.get(node, frozenset())
            if before is now:
                continue
            for graph in before - now:
                left = tuple(other for other in self._choices.pop(graph) if other != node)
                if left:
                    self._choices[graph] = left
                else:
                    del self._marks[graph]
            for graph in now - before:
                others = self._choices.get(graph, ())
                self._choices[graph] = by_rendezvous(graph, (*others, node)) if others else (node,)
                if not others:
                    self._marks[graph] = mark("own", graph)
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
        marks = sum(map(self._marks.__getitem__, readable)) + sum(mark("missing", node) for node in missing)
        return Snapshot(
            sources=tuple(Source(node, f"{ring.nodes[node].url}/sparql") for node in sorted(usable)),
            holders=holders,
            missing=tuple(sorted(missing)),
            version=f"fixed-{marks % _WRAP:016x}",
            taken=changes,
            unmarked=readable,
        )
