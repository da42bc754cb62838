"""Selects the node to read each graph from, by the ring, the offerings and the placements."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from catena_core.table import TableContent
from federation.source_selection import Snapshot, Source
from topology import records
from topology.gateway.offering_list import ListedOffering, OfferingList, list_offerings
from topology.gateway.replicas.inventory import GraphsByNode
from topology.gateway.replicas.lost import LostReplicas
from topology.gateway.replicas.missing import MissingCopies, MissingCount, Shortage, Shortages
from topology.gateway.replicas.ranking import (
    UNCONFIRMED,
    IdenticalReplicas,
    Replica,
    by_rendezvous,
    fingerprint,
    newest_content,
    rank,
)
from topology.gateway.replicas.snapshot_cache import SnapshotCache
from topology.gateway.replicas.unmanaged import UnmanagedGraphs
from topology.records import REFUSED_DELETE, AddressEvent, AddressStatus, CompressedOffering, Node, OfferingHead
from topology.ring import RingView

_WRAP = 2**64
# Seconds that a new offering may take to be placed.
_SECONDS_TO_PLACE = 10.0


class ReplicaSelector:
    """Selects the node to read each graph from.

    Every query takes a snapshot while offerings come in. So the selection for a graph is worked out once, and again only when
    something about that graph changes.

    Args:
        ring: Returns the current ring.
        graphs_by_node: Returns the graphs that the nodes list; ``None`` if the nodes are not asked. Unmanaged graphs and lost
            replicas are unknown then.
        content_of: Returns the content of a claim, by its address; ``None`` while it is not known.

    Attributes:
        claims: Claims by address; usually a table of the topic of offerings.
        replicas: Replicas by :func:`~topology.records.placement_key`; usually a table of the topic of placements.
        statuses: The outcome of the last fetch by address; usually a table of the topic of statuses.
        events: The last event by address; usually a table of the topic of addresses.
    """

    def __init__(
        self,
        ring: Callable[[], RingView],
        graphs_by_node: Callable[[], GraphsByNode] | None = None,
        content_of: Callable[[str, OfferingHead], str | None] = lambda address, claim: _decompressed(claim),
    ) -> None:
        self._ring = ring
        self._graphs_by_node = graphs_by_node
        self._content_of = content_of
        self.claims: TableContent[OfferingHead] | dict[str, OfferingHead] = {}
        self.replicas: TableContent[Replica] | dict[str, Replica] = {}
        self.statuses: TableContent[AddressStatus] | dict[str, AddressStatus] = {}
        self.events: TableContent[AddressEvent] | dict[str, AddressEvent] = {}
        self._status_version = object()
        self._ledger_listing = OfferingList(
            lambda: (self.snapshot(), self._status_version),
            lambda: list_offerings(self.claims.copy(), self._reachable(), self.statuses.copy(), self.events.copy()),
        )
        self._missing_count = MissingCount(self._shortages)
        self._taking = threading.Lock()
        self._noting = threading.Lock()
        self._changes = 0
        self._changed: set[str] | None = None  # graphs; None: any of them
        self._added: set[str] = set()
        self._removed: set[str] = set()
        # Where to look for a graph's claims and replicas, which may have gone.
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._nodes: dict[str, tuple[str, ...]] = {}
        self._choices: dict[str, tuple[IdenticalReplicas, ...]] = {}
        self._contents: dict[str, str] = {}
        self._withheld: set[str] = set()
        self._unmanaged = UnmanagedGraphs(lambda graph: graph in self._choices or graph in self._withheld)
        self._lost = LostReplicas(lambda node: [graph for graph, nodes in self._nodes.items() if node in nodes])
        self._lost_on: dict[str, list[str]] = {}
        self._over_replicated: set[str] = set()
        # By graph with stale copies: its present contents, and since when they have been seen not to be on all nodes.
        self._stale_since: dict[str, tuple[Collection[str], float]] = {}
        self._epoch, self._replica_count = -1, 0
        self._touched: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._snapshots = SnapshotCache()

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

    def replica_changed(self, key: str, old: Replica | None, new: Replica | None) -> None:
        """Note that a row of ``replicas`` has changed."""
        node, graph = records.split_placement_key(key)
        with self._noting:
            self._changes += 1
            if self._changed is not None:
                self._changed.add(graph)
                was_there, is_there = (replica is not None and bool(replica.digest) for replica in (old, new))
                if is_there != was_there:
                    (self._added if is_there else self._removed).add(graph)
                if new is not None:
                    _add(self._nodes, graph, node)
                    self._lost.acknowledged(node, graph)

    def status_changed(self, *_: Any) -> None:
        """Note that a row of ``statuses`` or ``events`` has changed."""
        self._status_version = object()

    def nodes_changed(self, *_: Any) -> None:
        """Note that the ring or the graphs that nodes list have changed."""
        with self._noting:
            self._changes += 1

    def graph_of(self, identifier: str) -> str | None:
        """Return the graph of an offering by its ledger address or its own IRI; ``None`` if it is unknown."""
        claim = self.claims.get(identifier)
        if claim is not None:
            return claim.graph
        with self._taking:
            self._refresh()
            return identifier if identifier in self._choices else None

    def content(self, graph: str, digest: str) -> str | None:
        """Return the content of a graph with a digest; ``None`` if it is unknown, or no address claims it with that content."""
        for address in self._addresses.get(graph, ()):
            claim = self._claim(address, graph)
            if claim is not None and claim.digest == digest:
                content = self._content_of(address, claim)
                if content is not None:
                    return content
        return None

    def offerings(self) -> Sequence[ListedOffering]:
        """Return the offerings on the ledger, sorted by graph."""
        return [one for one in self._ledger_listing() if one.graph and one.state in ("placed", "waiting", "stale")]

    def _reachable(self) -> dict[str, Replica]:
        """Return the replicas on nodes of the ring: no one can read those of a node that has left."""
        on_ring = self._ring().nodes
        return {key: one for key, one in self.replicas.copy().items() if records.split_placement_key(key)[0] in on_ring}

    def ledger_listing(self) -> Sequence[ListedOffering]:
        """Return all addresses on the ledger, with or without an offering; those with one first, sorted by graph."""
        return self._ledger_listing()

    def owner_of(self, address: str) -> str | None:
        """Return the address that owns the graph that an address claims; ``None`` if it claims none."""
        claim = self.claims.get(address)
        if claim is None:
            return None
        with self._taking:
            self._refresh()
            rivals = {a: found for a in self._addresses.get(claim.graph, ()) if (found := self._claim(a, claim.graph))}
        return records.first_claim(rivals) or address

    def conflicts(self) -> Mapping[str, Sequence[str]]:
        """Return the graphs of nodes' owners that keep offerings of their names out, sorted, by node."""
        found: dict[str, list[str]] = {}
        for key, replica in self.replicas.copy().items():
            if replica.foreign:
                node, graph = records.split_placement_key(key)
                found.setdefault(node, []).append(graph)
        return {node: sorted(graphs) for node, graphs in found.items()}

    def problems(self) -> Mapping[str, str]:
        """Return, for each node that refuses graphs or fails on them, how many, and the reason for one of them."""
        found: dict[str, list[str]] = {}
        for key, replica in self.replicas.copy().items():
            if replica.problem and not replica.foreign:
                found.setdefault(records.split_placement_key(key)[0], []).append(replica.problem)
        return {node: f"it does not take {len(said)} graphs: {min(said)}" for node, said in found.items()}

    def missing(self) -> MissingCopies:
        """Return the number of copies that the catalogue lacks.

        A graph lacks copies if fewer nodes hold one than should: they have not acknowledged it, or have lost it, or are down. A
        new offering lacks none for some seconds. Refused copies are counted apart, without those that a node's owner keeps out.
        """
        return self._missing_count()

    def lost_by_node(self) -> dict[str, int]:
        """Return the number of graphs that each node acknowledged and no longer lists, by the node's id."""
        with self._taking:
            self._refresh()
            return dict(Counter(node for nodes in self._lost_on.values() for node in nodes))

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """Return the nodes and graphs that one query sees.

        Args:
            avoid: Ids of nodes that have just failed; they count as down.
        """
        with self._taking:
            changes = self._changes
            return self._snapshots.get(avoid, changes, lambda: self._take(*self._refresh(), avoid, changes))

    def _refresh(self) -> tuple[RingView, GraphsByNode]:
        """Update the choices of the graphs that have changed.

        Returns:
            The ring and the graphs by node that the choices follow from.
        """
        ring = self._ring()
        graphs_by_node = self._graphs_by_node() if self._graphs_by_node is not None else {}
        with self._noting:
            changes = self._changes  # a snapshot may have counted fewer; all of them are handled here
            changed, self._changed = self._changed, set()
            added, self._added = self._added, set()
            removed, self._removed = self._removed, set()
            replica_count = len(ring.owners(""))
            if changed is None:
                self._read_tables()
            affected = self._lost.refresh(graphs_by_node)
            if changed is None or replica_count != self._replica_count:
                changed = self._addresses.keys() | self._nodes.keys() | self._choices.keys() | self._withheld
                removed = set(changed)
            else:
                changed |= affected
                if ring.epoch != self._epoch:
                    # A new ring removes replicas only where there are more than owners. Elsewhere new ones come first,
                    # and those are noted.
                    changed |= self._over_replicated
                    removed |= self._over_replicated
            self._epoch, self._replica_count = ring.epoch, replica_count
        known = []
        for graph in changed:
            before = self._confirmed_nodes(graph)
            if self._choose(graph, ring):
                known.append(graph)
                now = self._confirmed_nodes(graph)
                if graph in removed or not before or not before <= now:  # a new graph may have been away
                    self._gone[graph] = self._touched[graph] = changes
                elif graph in added or now != before:
                    self._touched[graph] = changes
            else:  # queries that still read it have an older snapshot and read it differently
                self._touched.pop(graph, None)
                self._gone.pop(graph, None)
        self._unmanaged.discard(known)
        self._unmanaged.refresh(graphs_by_node)
        return ring, graphs_by_node

    def _confirmed_nodes(self, graph: str) -> set[str]:
        return {node for number, nodes in self._choices.get(graph, ()) if number != UNCONFIRMED for node in nodes}

    def _read_tables(self) -> None:
        self._addresses, self._nodes = {}, {}
        for address, claim in self.claims.copy().items():
            _add(self._addresses, claim.graph, address)
        for key in self.replicas.copy():
            node, graph = records.split_placement_key(key)
            _add(self._nodes, graph, node)
        self._lost.begin()

    def _choose(self, graph: str, ring: RingView) -> bool:
        """Choose the nodes to read one graph from.

        Returns:
            Whether the catalogue knows the graph.
        """
        addresses, nodes = self._addresses.get(graph, ()), self._nodes.get(graph, ())
        claims = {a: claim for a in addresses if (claim := self._claim(a, graph)) is not None}
        held = {node: replica for node in nodes if (replica := self._replica(node, graph)) is not None}
        if len(claims) < len(addresses) or len(held) < len(nodes):
            self._forget_missing(graph)
        self._choices.pop(graph, None)
        self._contents.pop(graph, None)
        self._withheld.discard(graph)
        self._over_replicated.discard(graph)
        self._lost_on.pop(graph, None)
        if claims and held and all(replica.foreign for replica in held.values()):
            # The graphs of this name are those of nodes' owners, as if no offering had it.
            self._unmanaged.restore(graph, held)
            return False
        if claims:
            claim = claims[records.first_claim(claims) or ""]
            lost = [node for node in held if self._lost.has_lost(node, graph)]
            if lost:
                self._lost_on[graph] = lost
            self._choices[graph] = rank(graph, claim.digest, held, ring.owners(graph), lost)
            if digest := newest_content(claim.digest, held.values()):
                self._contents[graph] = digest
            if len(held) > self._replica_count:
                self._over_replicated.add(graph)
        elif held:
            self._withheld.add(graph)
        return bool(claims or held)

    def _shortages(self) -> Shortages:
        """Return the shortage of each graph that has too few copies, and of those whose deletion nodes refuse."""
        with self._taking:
            ring, _ = self._refresh()
            graphs, withheld = list(self._choices), list(self._withheld)
        live = {node.id for node in ring.nodes.values() if node.state != "down"}
        self._stale_since = {graph: seen for graph, seen in self._stale_since.items() if graph in self._choices}
        newest = (time.time() - _SECONDS_TO_PLACE) * 1000
        shortages, taken = [], Counter[str]()
        for graph in withheld:
            held = {node: replica for node in self._nodes.get(graph, ()) if (replica := self._replica(node, graph))}
            keeping = [node for node in held if node in ring.nodes and _has_refused(held[node], (REFUSED_DELETE,))]
            if keeping:
                shortages.append(Shortage(0, [], [], keeping))
        for graph in graphs:
            lost, owners = self._lost_on.get(graph, ()), ring.owners(graph)
            held = {node: replica for node in self._nodes.get(graph, ()) if (replica := self._replica(node, graph))}
            claims = [claim for a in self._addresses.get(graph, ()) if (claim := self._claim(a, graph)) is not None]
            contents = {claim.digest for claim in claims}
            stale = self._long_stale(graph, held, contents)
            present = {
                node for node, replica in held.items() if (replica.digest or replica.in_doubt) and node not in stale
            }
            holders = {node for node in present if node in live and node not in lost}
            taken.update(holders)
            if len(holders) >= len(owners):
                continue
            lacking = [node for node in owners if node not in holders and not _has_refused(held.get(node), contents)]
            refusing = [node for node in owners if node not in {*holders, *lacking} and not held[node].foreign]
            if (lacking or refusing) and any(claim.claimed_at < newest for claim in claims):
                shortages.append(Shortage(min(len(owners) - len(holders), len(lacking)), lacking, refusing, []))
        return Shortages(shortages, taken)

    def _long_stale(self, graph: str, held: Mapping[str, Replica], contents: Collection[str]) -> list[str]:
        """Return the nodes that still hold an earlier content, although they had the time to get a present one."""
        stale = [node for node, replica in held.items() if replica.digest and replica.digest not in contents]
        if not stale:
            self._stale_since.pop(graph, None)
            return []
        known, since = self._stale_since.get(graph, (contents, time.monotonic()))
        if known != contents:  # it has changed again
            since = time.monotonic()
        self._stale_since[graph] = contents, since
        return stale if time.monotonic() - since > _SECONDS_TO_PLACE else []

    def _forget_missing(self, graph: str) -> None:
        """Forget addresses and nodes that no longer have a row for a graph."""
        with self._noting:
            # Rows may have come back since they were looked up.
            addresses = [a for a in self._addresses.pop(graph, ()) if self._claim(a, graph) is not None]
            nodes = [node for node in self._nodes.pop(graph, ()) if self._replica(node, graph) is not None]
            if addresses:
                self._addresses[graph] = tuple(addresses)
            if nodes:
                self._nodes[graph] = tuple(nodes)

    def _claim(self, address: str, graph: str) -> OfferingHead | None:
        claim = self.claims.get(address)
        return claim if claim is not None and claim.graph == graph else None

    def _replica(self, node: str, graph: str) -> Replica | None:
        return self.replicas.get(records.placement_key(node, graph))

    def _take(self, ring: RingView, graphs_by_node: GraphsByNode, avoid: frozenset[str], changes: int) -> Snapshot:
        # A node may come back with other graphs than it listed before it went away.
        returned = {
            name for name, listed in graphs_by_node.items() if listed.graphs is not None and not listed.is_current
        }
        usable = {node.id for node in ring.nodes.values() if node.state == "up"} - returned - avoid
        holders: dict[str, str] = {}
        marks: dict[str, int] = {}
        doubtful: set[str] = set()
        missing: set[str] = set()
        unlisted: set[str] = set()
        for graph, choices in self._choices.items():
            holder, found = "", UNCONFIRMED
            for number, nodes in choices:
                for node in nodes:
                    if node in usable:
                        holder, found = node, number
                        break
                if holder:
                    break
            if choices:
                holders[graph] = holder
            if found != UNCONFIRMED:
                marks[graph] = found
            elif choices:
                if holder:
                    doubtful.add(graph)
                all_nodes = {node for _, nodes in choices for node in nodes}
                missing |= all_nodes - usable or all_nodes
            else:
                unlisted.update(self._lost_owners(graph, ring))
        shown = self._unmanaged.nodes_by_graph(usable)
        # They count as copies of one graph; reading both would double its blank nodes.
        holders.update({graph: by_rendezvous(graph, nodes)[0] for graph, nodes in shown.items() if len(nodes) > 1})
        unlisted.update(
            node.id for node in ring.nodes.values() if node.id not in usable and self._hides_graphs(node, shown)
        )
        missing |= unlisted
        others = sum(fingerprint("own", graph, "") for graph in shown) + sum(
            fingerprint("missing", node, "") for node in missing
        )
        return Snapshot(
            sources=tuple(Source(node, ring.nodes[node].sparql_url) for node in sorted(usable)),
            source_of=holders,
            tombstoned=frozenset(self._withheld),
            unavailable=tuple(sorted(missing)),
            version=f"{ring.epoch}-{(sum(marks.values()) + others) % _WRAP:016x}",
            revision=changes,
            moved_at=self._touched.copy(),
            removed_at=self._gone.copy(),
            unconfirmed=frozenset(doubtful),
            fingerprints=marks,
            untracked=frozenset(shown) if self._have_all_listed(usable) else None,
            contents=self._contents.copy(),
            unlisted=tuple(sorted(unlisted)),
        )

    def _lost_owners(self, graph: str, ring: RingView) -> list[str]:
        """Return the owners that should hold a graph of which no copy is known, unless it is new or they refused it."""
        claims = [claim for a in self._addresses.get(graph, ()) if (claim := self._claim(a, graph)) is not None]
        newest = (time.time() - _SECONDS_TO_PLACE) * 1000
        if not any(claim.claimed_at < newest for claim in claims):
            return []
        contents = {claim.digest for claim in claims}
        return [node for node in ring.owners(graph) if not _has_refused(self._replica(node, graph), contents)]

    def _have_all_listed(self, nodes: Collection[str]) -> bool:
        return self._graphs_by_node is not None and all(map(self._unmanaged.was_listed, nodes))

    def _hides_graphs(self, node: Node, shown: Collection[str]) -> bool:
        """Tell whether unmanaged graphs are missing without a node, as far as that can be known.

        A node that was up but never listed its graphs may hold some. A node that was never up most likely does not exist, for
        instance one at an address that was only inferred from its owner.
        """
        if self._graphs_by_node is None:
            return False
        if not self._unmanaged.was_listed(node.id):
            return node.since > 0
        return any(graph not in shown for graph in self._unmanaged.of(node.id))


def _decompressed(claim: OfferingHead) -> str | None:
    return claim.triples() if isinstance(claim, CompressedOffering) else None


def _has_refused(replica: Replica | None, contents: Collection[str]) -> bool:
    return replica is not None and replica.refused in contents


def _add(index: dict[str, tuple[str, ...]], graph: str, item: str) -> None:
    items = index.get(graph, ())
    if item not in items:
        index[graph] = (*items, item)
