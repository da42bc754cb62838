"""Where each graph is read from: the ring, the offerings and the placements put together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from catena_core.table import TableContent
from federation.source_selection import Snapshot, Source
from topology import records
from topology.gateway.replicas.lost import Losses
from topology.gateway.replicas.ranking import DOUBTFUL, Alike, Copy, by_rendezvous, decode_copy, mark, rank
from topology.gateway.replicas.unmanaged import Listings, OwnGraphs
from topology.records import Node, OfferingHead
from topology.ring import RingView

__all__ = ["Copy", "Directory", "decode_copy", "take_snapshot"]

_WRAP = 2**64


class Directory:
    """Answers from which node each graph is to be read.

    What is to be read from where is worked out for each graph once, and again when something about that graph changes, since
    snapshots are taken by every query, while offerings come in.

    Args:
        ring: Called for the ring as it is now.
        listings: Called for what the nodes say they hold; ``None``: they are not asked, so nothing is known of graphs that
            nobody placed, nor of copies that nodes have lost.

    Attributes:
        claims: Claims by address; usually a table of the topic of offerings.
        copies: Copies by :func:`~topology.records.placement_key`; usually a table of the topic of placements.
    """

    def __init__(self, ring: Callable[[], RingView], listings: Callable[[], Listings] | None = None) -> None:
        self._ring = ring
        self._listings = listings
        self.claims: TableContent[OfferingHead] | dict[str, OfferingHead] = {}
        self.copies: TableContent[Copy] | dict[str, Copy] = {}
        self._taking = threading.Lock()
        self._noting = threading.Lock()
        self._changes = 0
        self._changed: set[str] | None = None  # graphs; None: any of them
        self._came: set[str] = set()
        self._went: set[str] = set()
        # Where to look for a graph's claims and copies. There may be none there any more.
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._nodes: dict[str, tuple[str, ...]] = {}
        self._choices: dict[str, tuple[Alike, ...]] = {}
        self._withheld: set[str] = set()
        self._own = OwnGraphs(lambda graph: graph in self._choices or graph in self._withheld)
        self._losses = Losses(lambda node: [graph for graph, nodes in self._nodes.items() if node in nodes])
        self._crowded: set[str] = set()
        self._epoch, self._replicas = -1, 0
        self._touched: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._snapshots: dict[frozenset[str], tuple[int, Snapshot]] = {}

    def changed(self, *_: Any) -> None:
        """Note that anything may have changed."""
        with self._noting:
            self._changes += 1
            self._changed = None

    def claim_changed(self, address: str, old: OfferingHead | None, new: OfferingHead | None) -> None:
        """Note that a row of ``claims`` has changed."""
        with self._noting:
            self._changes += 1
            if self._changed is not None:
                self._changed.update(claim.graph for claim in (old, new) if claim is not None)
                if new is not None:
                    _add(self._addresses, new.graph, address)

    def copy_changed(self, key: str, old: Copy | None, new: Copy | None) -> None:
        """Note that a row of ``copies`` has changed."""
        node, graph = records.split_placement_key(key)
        with self._noting:
            self._changes += 1
            if self._changed is not None:
                self._changed.add(graph)
                was_there, is_there = (copy is not None and bool(copy.digest) for copy in (old, new))
                if is_there != was_there:
                    (self._came if is_there else self._went).add(graph)
                if new is not None:
                    _add(self._nodes, graph, node)
                    self._losses.acknowledged(node, graph)

    def nodes_changed(self, *_: Any) -> None:
        """Note that the ring has changed, or what nodes say they hold."""
        with self._noting:
            self._changes += 1

    def graph_of(self, identifier: str) -> str | None:
        """The graph of an offering, by its ledger address or by its own IRI; ``None`` when it is unknown."""
        claim = self.claims.get(identifier)
        if claim is not None:
            return claim.graph
        with self._taking:
            self._refresh()
            return identifier if identifier in self._choices else None

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """What one query is to see.

        Args:
            avoid: Ids of nodes that have just failed, to be treated as if they were not up.
        """
        with self._taking:
            changes = self._changes
            kept = self._snapshots.get(avoid)
            if kept is not None and kept[0] == changes:
                return kept[1]
            snapshot = self._take(*self._refresh(), avoid, changes)
            self._snapshots = {held: item for held, item in self._snapshots.items() if item[0] == changes}
            self._snapshots[avoid] = (changes, snapshot)
            return snapshot

    def _refresh(self) -> tuple[RingView, Listings]:
        """Work out anew what has changed; returns the ring and the listings that it holds for."""
        ring = self._ring()
        listings = self._listings() if self._listings is not None else {}
        with self._noting:
            changes = self._changes  # a snapshot may have counted fewer; all are taken here
            changed, self._changed = self._changed, set()
            came, self._came = self._came, set()
            went, self._went = self._went, set()
            replicas = len(ring.owners(""))
            if changed is None:
                self._look_through_tables()
            again = self._losses.refresh(listings)
            if changed is None or replicas != self._replicas:
                changed = self._addresses.keys() | self._nodes.keys() | self._choices.keys() | self._withheld
                went = set(changed)
            else:
                changed |= again
                if ring.epoch != self._epoch:
                    # Only what has more copies than owners loses some without that new ones come first, which would be noted.
                    changed |= self._crowded
                    went |= self._crowded
            self._epoch, self._replicas = ring.epoch, replicas
        known = []
        for graph in changed:
            before = self._readable(graph)
            if self._work_out(graph, ring):
                known.append(graph)
                now = self._readable(graph)
                if graph in went or not before or not before <= now:  # what is new may have been away
                    self._gone[graph] = self._touched[graph] = changes
                elif graph in came or now != before:
                    self._touched[graph] = changes
            else:  # it is read in another way by now than any who saw it read it
                self._touched.pop(graph, None)
                self._gone.pop(graph, None)
        self._own.discard(known)
        self._own.refresh(listings)
        return ring, listings

    def _readable(self, graph: str) -> set[str]:
        """The nodes that surely have a graph."""
        return {node for number, nodes in self._choices.get(graph, ()) if number != DOUBTFUL for node in nodes}

    def _look_through_tables(self) -> None:
        self._addresses, self._nodes = {}, {}
        for address, claim in self.claims.copy().items():
            _add(self._addresses, claim.graph, address)
        for key in self.copies.copy():
            node, graph = records.split_placement_key(key)
            _add(self._nodes, graph, node)
        self._losses.begin()

    def _work_out(self, graph: str, ring: RingView) -> bool:
        """Work out where one graph is to be read from; returns whether anything is known of it."""
        addresses, nodes = self._addresses.get(graph, ()), self._nodes.get(graph, ())
        claims = [(claim.claimed_at, a, claim) for a in addresses if (claim := self._claim(a, graph)) is not None]
        held = {node: copy for node in nodes if (copy := self._copy(node, graph)) is not None}
        if len(claims) < len(addresses) or len(held) < len(nodes):
            self._tidy(graph)
        self._choices.pop(graph, None)
        self._withheld.discard(graph)
        self._crowded.discard(graph)
        if claims:
            # Of several claims to one graph the earliest stands, by the address where times are equal: the router's rule.
            _, _, claim = claims[0] if len(claims) == 1 else min(claims, key=lambda found: found[:2])
            lost = [node for node in held if self._losses.has_lost(node, graph)]
            self._choices[graph] = rank(graph, claim.digest, held, ring.owners(graph), lost)
            if len(held) > self._replicas:
                self._crowded.add(graph)
        elif held:
            self._withheld.add(graph)
        return bool(claims or held)

    def _tidy(self, graph: str) -> None:
        """Forget where claims and copies of a graph have been; rows may come anew at any time."""
        with self._noting:
            addresses = [a for a in self._addresses.pop(graph, ()) if self._claim(a, graph) is not None]
            nodes = [node for node in self._nodes.pop(graph, ()) if self._copy(node, graph) is not None]
            if addresses:
                self._addresses[graph] = tuple(addresses)
            if nodes:
                self._nodes[graph] = tuple(nodes)

    def _claim(self, address: str, graph: str) -> OfferingHead | None:
        claim = self.claims.get(address)
        return claim if claim is not None and claim.graph == graph else None

    def _copy(self, node: str, graph: str) -> Copy | None:
        return self.copies.get(records.placement_key(node, graph))

    def _take(self, ring: RingView, listings: Listings, avoid: frozenset[str], changes: int) -> Snapshot:
        # What a node listed before it went says nothing of what it has come back with.
        returned = {name for name, listing in listings.items() if listing.graphs is not None and not listing.is_current}
        usable = {node.id for node in ring.nodes.values() if node.state == "up"} - returned - avoid
        holders: dict[str, str] = {}
        marks: dict[str, int] = {}
        doubtful: set[str] = set()
        missing: set[str] = set()
        for graph, choices in self._choices.items():
            holder, found = "", DOUBTFUL
            for number, nodes in choices:
                for node in nodes:
                    if node in usable:
                        holder, found = node, number
                        break
                if holder:
                    break
            if choices:
                holders[graph] = holder
            if found != DOUBTFUL:
                marks[graph] = found
            elif choices:
                if holder:
                    doubtful.add(graph)
                all_nodes = {node for _, nodes in choices for node in nodes}
                missing |= all_nodes - usable or all_nodes
        shown = self._own.places(usable)
        # Copies of one graph, as far as anybody can tell; blank nodes of both would be told apart.
        holders.update({graph: by_rendezvous(graph, nodes)[0] for graph, nodes in shown.items() if len(nodes) > 1})
        missing.update(
            node.id for node in ring.nodes.values() if node.id not in usable and self._takes_away(node, shown)
        )
        others = sum(mark("own", graph, "") for graph in shown) + sum(mark("missing", node, "") for node in missing)
        return Snapshot(
            sources=tuple(Source(node, f"{ring.nodes[node].url}/sparql") for node in sorted(usable)),
            source_of=holders,
            tombstoned=frozenset(self._withheld),
            unavailable=tuple(sorted(missing)),
            version=f"{ring.epoch}-{(sum(marks.values()) + others) % _WRAP:016x}",
            revision=changes,
            moved_at=self._touched.copy(),
            removed_at=self._gone.copy(),
            unconfirmed=frozenset(doubtful),
            fingerprints=marks,
            untracked=frozenset(shown) if self._knows_all(usable) else None,
        )

    def _knows_all(self, nodes: Collection[str]) -> bool:
        """Whether all nodes have told what they hold."""
        return self._listings is not None and all(map(self._own.was_listed, nodes))

    def _takes_away(self, node: Node, shown: Collection[str]) -> bool:
        """Whether graphs that nobody placed are gone with a node, as far as that can be known.

        A node that was up, but never told what it holds, may hold some; one that never was, as those that are only supposed to
        be at an owner's address, most likely does not exist.
        """
        if self._listings is None:
            return False
        if not self._own.was_listed(node.id):
            return node.since > 0
        return any(graph not in shown for graph in self._own.of(node.id))


def take_snapshot(
    ring: RingView, claims: dict[str, OfferingHead], copies: dict[str, Copy], avoid: frozenset[str] = frozenset()
) -> Snapshot:
    """What a query is to see of these claims and copies, taken once."""
    directory = Directory(lambda: ring)
    directory.claims, directory.copies = claims, copies
    return directory.snapshot(avoid)


def _add(index: dict[str, tuple[str, ...]], graph: str, item: str) -> None:
    items = index.get(graph, ())
    if item not in items:
        index[graph] = (*items, item)
