"""Decides which node holds what: turns offerings and ring changes into puts and deletes for each node.

Run it alone with ``python links/router.py -k localhost:9092``; start more of it to share the graphs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from catena_core import Electron
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.records import REFUSED_DELETE, Offering, Placement, Write
from topology.ring import RingView

# How long a write may go unacknowledged before it is sent again, doubling each time: long enough for a slow node, short
# enough for a broker that lost it.
_FIRST_PATIENCE = 120.0
_SWEEP_INTERVAL = 5.0


@dataclass(slots=True)
class Claim:
    """An address's claim to a graph, with the graph's content compressed: a router keeps many."""

    digest: str
    claimed_at: int
    triples: bytes


@dataclass(slots=True)
class Pending:
    """A write that was sent and not acknowledged yet."""

    digest: str
    sent_at: float
    patience: float


@dataclass(slots=True)
class Graph:
    """What is known of one graph: who claims it, what nodes acknowledged, and what they have yet to.

    Its version is the offset of the newest electron about it, so that whatever is decided later is newer, the graph of a claim
    that was made long ago included.
    """

    version: int = -1
    claims: dict[str, Claim] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)

    def rightful(self) -> tuple[str, Claim] | None:
        """The address whose graph this is, with its claim: the first that claimed it."""
        return min(self.claims.items(), key=lambda item: (item[1].claimed_at, item[0])) if self.claims else None


@dataclass(slots=True)
class Shard:
    """The graphs of one partition."""

    graphs: dict[str, Graph] = field(default_factory=dict)
    graph_of: dict[str, str] = field(default_factory=dict)
    replaying: set[str] = field(default_factory=set)


class Router(CatalogueLink):
    """Compares what should be where with what nodes acknowledged, and sends each node the writes that make the two agree.

    What should be where follows from the compacted topics of offerings and of the ring, what is where from that of
    placements, so a router that starts or takes over has only to read them, and whatever was lost on the way is sent again.
    A graph is deleted from a node that no longer owns it once all of its owners have acknowledged their copies.

    Settings: HASH_RING_VIRTUAL_NODES and OFFERING_REPLICA_COUNT, as the ring carries them.
    """

    inputs = (topics.OFFERINGS, topics.PLACEMENTS)
    outputs = (topics.WRITES,)
    replay = True

    def setup(self) -> None:
        """Start to follow the ring."""
        super().setup()
        self._shards: dict[int, Shard] = {}
        self._node_topics: dict[str, str] = {}
        self._epoch_routed = 0
        self.follow_ring(on_change=lambda ring: self.submit(self._reroute, ring))
        self.loop(lambda: self.submit(self._sweep), interval=_SWEEP_INTERVAL)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Take over the graphs of these partitions."""
        for topic, number in partitions:
            self._shards.setdefault(number, Shard()).replaying.add(topic)

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the graphs of these partitions to another router."""
        for _, number in partitions:
            self._shards.pop(number, None)

    def replayed(self, partition: tuple[str, int]) -> None:
        """Compare everything in a partition, once all that is known of it has been read."""
        shard = self._shards.get(partition[1])
        if shard is not None:
            shard.replaying.discard(partition[0])
            if not shard.replaying:
                self._compare_all(partition[1], shard)

    def transform(self, electron: Electron) -> None:
        """Take an offering or a placement into account, and compare its graph."""
        assert electron.partition is not None
        shard = self._shards.get(electron.partition)
        if shard is None:
            return
        if electron.previous_topic == self.input_topics[0]:
            touched = self._take_offering(shard, electron)
        else:
            touched = self._take_placement(shard, electron)
        if not shard.replaying:
            for graph in touched:
                self._compare(electron.partition, shard, graph)

    def _take_offering(self, shard: Shard, electron: Electron) -> set[str]:
        address = str(electron.key)
        offering = None if electron.value is None else records.from_text(electron.value, Offering)
        touched = set()
        before = shard.graph_of.pop(address, None)
        if before is not None:
            del shard.graphs[before].claims[address]
            touched.add(before)
        if offering is not None:
            shard.graph_of[address] = offering.graph
            shard.graphs.setdefault(offering.graph, Graph()).claims[address] = Claim(
                offering.digest, offering.claimed_at, zlib.compress(offering.triples.encode(), 1)
            )
            touched.add(offering.graph)
        assert electron.offset is not None
        for iri in touched:
            shard.graphs[iri].version = max(shard.graphs[iri].version, electron.offset)
        return touched

    def _take_placement(self, shard: Shard, electron: Electron) -> set[str]:
        node, iri = records.split_placement_key(str(electron.key))
        graph = shard.graphs.setdefault(iri, Graph())
        pending = graph.pending.get(node)
        if electron.value is None:
            graph.placements.pop(node, None)
            settled = pending is not None and not pending.digest
        else:
            placement = records.from_text(electron.value, Placement)
            graph.placements[node] = placement
            graph.version = max(graph.version, placement.version)
            answered = placement.refused or placement.digest
            settled = pending is not None and (pending.digest or REFUSED_DELETE) == answered
        if settled:
            del graph.pending[node]
        return {iri}

    # Comparing

    def _reroute(self, ring: RingView) -> None:
        """Compare everything by a new ring."""
        started = time.monotonic()
        for shard in self._shards.values():
            for graph in shard.graphs.values():
                for node in [node for node in graph.pending if not ring.is_up(node)]:
                    del graph.pending[node]  # its writer lets go of what a silent node did not take
        sent = sum(self._compare_all(number, shard) for number, shard in self._shards.items() if not shard.replaying)
        self.logger.log(
            f"ring epoch {ring.epoch}: {len(ring.nodes)} nodes, {sent} writes, {time.monotonic() - started:.2f} s"
        )

    def _sweep(self) -> None:
        """Send again what has gone unacknowledged for too long."""
        now = time.monotonic()
        for number, shard in self._shards.items():
            if shard.replaying:
                continue
            for iri, graph in list(shard.graphs.items()):
                if any(now - pending.sent_at > pending.patience for pending in graph.pending.values()):
                    self._compare(number, shard, iri)

    def _compare_all(self, number: int, shard: Shard) -> int:
        return sum(self._compare(number, shard, iri) for iri in list(shard.graphs))

    def _compare(self, number: int, shard: Shard, iri: str) -> int:
        """Send the writes that make a graph stand where it should; returns how many."""
        graph = shard.graphs[iri]
        ring = self.ring
        rightful = graph.rightful()
        if rightful is None and not graph.placements and not graph.pending:
            del shard.graphs[iri]
            return 0
        writes: list[Write] = []
        if rightful is not None:
            writes += self._puts(number, graph, iri, *rightful, ring)
        else:
            writes += self._deletes(number, graph, iri, graph.placements, ring)
        for write in writes:
            self.send(Electron(iri, records.to_text(write), topic=self._topic_of(write.node)))
        return len(writes)

    def _puts(self, number: int, graph: Graph, iri: str, address: str, claim: Claim, ring: RingView) -> list[Write]:
        owners = ring.owners(iri)
        held = {node: graph.placements[node] for node in owners if node in graph.placements}
        lacking = [
            node
            for node in owners
            if node not in held
            or held[node].digest != claim.digest
            # What it holds now is about to be deleted or replaced.
            or (node in graph.pending and graph.pending[node].digest != claim.digest)
        ]
        writes = []
        for node in lacking:
            refused = node in held and held[node].refused == claim.digest
            if ring.is_up(node) and not refused and self._is_due(graph, node, claim.digest):
                triples = zlib.decompress(claim.triples).decode()
                writes.append(
                    Write("put", node, iri, address, graph.version, ring.epoch, number, claim.digest, triples)
                )
        if owners and not lacking:
            writes += self._deletes(number, graph, iri, graph.placements.keys() - set(owners), ring)
        return writes

    def _deletes(self, number: int, graph: Graph, iri: str, nodes: Iterable[str], ring: RingView) -> list[Write]:
        writes = []
        for node in sorted(nodes):
            placement = graph.placements[node]
            if node not in ring.nodes:
                continue
            if placement.refused != REFUSED_DELETE and ring.is_up(node) and self._is_due(graph, node, ""):
                writes.append(Write("delete", node, iri, placement.address, graph.version, ring.epoch, number))
        return writes

    def _is_due(self, graph: Graph, node: str, digest: str) -> bool:
        """Whether a write is to be sent now: not while the same one is under way."""
        now = time.monotonic()
        pending = graph.pending.get(node)
        if pending is not None and pending.digest == digest:
            if now - pending.sent_at <= pending.patience:
                return False
            graph.pending[node] = Pending(digest, now, 2 * pending.patience)
        else:
            graph.pending[node] = Pending(digest, now, _FIRST_PATIENCE)
        return True

    def _topic_of(self, node: str) -> str:
        if node not in self._node_topics:
            spec = topics.writes_topic(node, self.output_topics[0])
            self.ensure_topics(spec)
            self._node_topics[node] = spec.name
        return self._node_topics[node]


if __name__ == "__main__":
    Router().start()
