"""Decides which node holds which graph: turns offerings and ring changes into puts and deletes for each node.

Run it alone with ``python links/router.py -k localhost:9092``; start more of it to share the graphs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from catena_core import Electron
from catena_core.text import printable
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.records import REFUSED_DELETE, Offering, Placement, Write
from topology.ring import RingView

# Seconds until a write without acknowledgement is sent again, doubled each time: long enough for a slow node, short enough
# for a broker that lost the write.
_FIRST_ACK_TIMEOUT = 120.0
# Seconds until a write on which a node has failed is sent again, doubled each time.
_FIRST_PUT_OFF, _LONGEST_PUT_OFF = 15.0, 300.0
_SWEEP_INTERVAL = 5.0


@dataclass(slots=True)
class Claim:
    """An address's claim to a graph, with the graph's content compressed, since a router holds many."""

    digest: str
    order: int
    claimed_at: int
    triples: bytes


@dataclass(slots=True)
class Pending:
    """A write that was sent and not yet acknowledged."""

    digest: str
    sent_at: float
    ack_timeout: float
    failures: int = 0

    def put_off(self) -> None:
        """Wait for a node that has failed on it, longer each time."""
        self.ack_timeout = min(_FIRST_PUT_OFF * 2.0 ** min(self.failures, 20), _LONGEST_PUT_OFF)
        self.sent_at = time.monotonic()
        self.failures += 1


@dataclass(slots=True)
class GraphState:
    """The claims to one graph, and its acknowledged and pending writes.

    Its version is the offset of the newest electron about it. So a later decision always has a higher version, even one for an
    old claim.
    """

    version: int = -1
    claims: dict[str, Claim] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)

    def winning_claim(self) -> tuple[str, Claim] | None:
        """Return the address that stands first in the ledger's listing, with its claim."""
        address = records.first_claim(self.claims)
        return None if address is None else (address, self.claims[address])

    def is_under_way(self, node: str, digest: str) -> bool:
        """Tell whether the same write to a node is pending and may still be acknowledged in time."""
        pending = self.pending.get(node)
        return (
            pending is not None
            and pending.digest == digest
            and time.monotonic() - pending.sent_at <= pending.ack_timeout
        )

    def mark_sent(self, node: str, digest: str) -> None:
        """Record a write to a node as pending, with twice the time-out if it is sent again."""
        pending = self.pending.get(node)
        ack_timeout, failures = _FIRST_ACK_TIMEOUT, 0
        if pending is not None and pending.digest == digest:
            failures = pending.failures
            ack_timeout = ack_timeout if failures else 2 * pending.ack_timeout
        self.pending[node] = Pending(digest, time.monotonic(), ack_timeout, failures)


@dataclass(slots=True)
class PartitionState:
    """The graphs of one partition.

    Attributes:
        graphs: What is known of each graph, by its IRI; those without offering and copies are forgotten.
        graph_of: The graph of each address.
        replaying: The topics that are not read to their ends yet.
        newest: The offset of the last record of an offering.
    """

    graphs: dict[str, GraphState] = field(default_factory=dict)
    graph_of: dict[str, str] = field(default_factory=dict)
    replaying: set[str] = field(default_factory=set)
    newest: int = 0


class Router(CatalogueLink):
    """Compares the wanted placement with the acknowledged one, and sends each node the writes that make the two agree.

    The wanted placement follows from the compacted topics of offerings and of the ring, the acknowledged one from the topic of
    placements. So a router that starts or takes over only has to read these topics, and it sends lost writes again. A graph is
    deleted from a node that no longer owns it once all its owners have acknowledged their copies.

    Settings: HASH_RING_VIRTUAL_NODES and OFFERING_REPLICA_COUNT, as the ring carries them.
    """

    inputs = (topics.OFFERINGS, topics.PLACEMENTS)
    outputs = (topics.WRITES,)
    replay = True

    def setup(self) -> None:
        """Follow the ring, and look for overdue writes periodically."""
        super().setup()
        self._partitions: dict[int, PartitionState] = {}
        self._node_topics: dict[str, str] = {}
        self.follow_ring(on_change=lambda ring: self.submit(self._reroute, ring))
        self.loop(lambda: self.submit(self._sweep), interval=_SWEEP_INTERVAL)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Take over the graphs of these partitions."""
        for topic, number in partitions:
            self._partitions.setdefault(number, PartitionState()).replaying.add(topic)

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the graphs of these partitions to another router."""
        for _, number in partitions:
            self._partitions.pop(number, None)

    def replayed(self, partition: tuple[str, int]) -> None:
        """Compare all graphs of a partition once both of its topics have been read."""
        state = self._partitions.get(partition[1])
        if state is not None:
            state.replaying.discard(partition[0])
            if not state.replaying:
                self._compare_all(partition[1], state)

    def transform(self, electron: Electron) -> None:
        """Apply an offering or a placement, and compare the graphs that it changes."""
        assert electron.partition is not None
        state = self._partitions.get(electron.partition)
        if state is None:
            return
        if electron.previous_topic == self.input_topics[0]:
            touched = self._apply_offering(state, electron)
        else:
            touched = self._apply_placement(state, electron)
        if not state.replaying:
            for graph in touched:
                self._compare(electron.partition, state, graph)

    def _apply_offering(self, state: PartitionState, electron: Electron) -> set[str]:
        address = str(electron.key)
        offering = None if electron.value is None else records.from_text(electron.value, Offering)
        touched = set()
        before = state.graph_of.pop(address, None)
        if before is not None:
            del state.graphs[before].claims[address]
            touched.add(before)
        if offering is not None:
            state.graph_of[address] = offering.graph
            state.graphs.setdefault(offering.graph, GraphState()).claims[address] = Claim(
                offering.digest, offering.order, offering.claimed_at, zlib.compress(offering.triples.encode(), 1)
            )
            touched.add(offering.graph)
            if before != offering.graph:
                self._warn_of_rivals(state.graphs[offering.graph], offering.graph)
        assert electron.offset is not None
        state.newest = max(state.newest, electron.offset)
        for iri in touched:
            state.graphs[iri].version = max(state.graphs[iri].version, electron.offset)
        return touched

    def _warn_of_rivals(self, graph: GraphState, iri: str) -> None:
        owner = records.first_claim(graph.claims)
        for rival in sorted(graph.claims.keys() - {owner}):
            self.logger.log(
                f"{printable(iri)} is described by {printable(str(owner))} and by {printable(rival)}: the first one owns it, "
                "since it stands first in the ledger's listing; the description of the other one is not placed",
                level="warning",
            )

    def _apply_placement(self, state: PartitionState, electron: Electron) -> set[str]:
        node, iri = records.split_placement_key(str(electron.key))
        graph = state.graphs.setdefault(iri, GraphState())
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
            if placement.problem and not placement.refused and pending is not None:
                pending.put_off()
        if settled:
            del graph.pending[node]
        return {iri}

    # Comparing the wanted placement with the acknowledged one

    def _reroute(self, ring: RingView) -> None:
        """Compare all graphs by a new ring."""
        started = time.monotonic()
        for state in self._partitions.values():
            for graph in state.graphs.values():
                for node in [node for node in graph.pending if not ring.is_up(node)]:
                    del graph.pending[node]  # its writer abandons writes to a silent node
        sent = sum(
            self._compare_all(number, state) for number, state in self._partitions.items() if not state.replaying
        )
        self.logger.log(
            f"ring epoch {ring.epoch}: {len(ring.nodes)} nodes, {sent} writes, {time.monotonic() - started:.2f} s"
        )

    def _sweep(self) -> None:
        """Send overdue writes again."""
        now = time.monotonic()
        for number, state in self._partitions.items():
            if state.replaying:
                continue
            for iri, graph in list(state.graphs.items()):
                if any(now - pending.sent_at > pending.ack_timeout for pending in graph.pending.values()):
                    self._compare(number, state, iri)

    def _compare_all(self, number: int, state: PartitionState) -> int:
        return sum(self._compare(number, state, iri) for iri in list(state.graphs))

    def _compare(self, number: int, state: PartitionState, iri: str) -> int:
        """Send the writes that bring a graph to its wanted placement.

        Returns:
            The number of writes.
        """
        graph = state.graphs[iri]
        ring = self.ring
        winning = graph.winning_claim()
        if winning is None and not graph.placements and not graph.pending:
            del state.graphs[iri]
            return 0
        writes: list[Write] = []
        if winning is not None:
            writes += self._puts(number, graph, iri, *winning, ring)
        else:
            # A copy that comes back after its graph was forgotten has an old version. Its writer, which remembers the delete
            # of before, would take this one for an earlier one.
            graph.version = max(graph.version, state.newest)
            writes += self._deletes(number, graph, iri, graph.placements, ring)
        for write in writes:
            self.send(Electron(iri, records.to_text(write), topic=self._topic_of(write.node)))
        return len(writes)

    def _puts(
        self, number: int, graph: GraphState, iri: str, address: str, claim: Claim, ring: RingView
    ) -> list[Write]:
        owners = ring.owners(iri)
        held = {node: graph.placements[node] for node in owners if node in graph.placements}
        lacking = [
            node
            for node in owners
            if node not in held
            or held[node].digest != claim.digest
            # A pending write is about to delete or replace its copy.
            or (node in graph.pending and graph.pending[node].digest != claim.digest)
        ]
        writes, triples = [], ""
        for node in lacking:
            if (
                ring.is_up(node)
                and not (node in held and _is_refused(held[node], claim.digest, ring))
                and not graph.is_under_way(node, claim.digest)
            ):
                graph.mark_sent(node, claim.digest)
                triples = triples or zlib.decompress(claim.triples).decode()
                writes.append(
                    Write("put", node, iri, address, graph.version, ring.epoch, number, claim.digest, triples)
                )
        if owners and not lacking:
            writes += self._deletes(number, graph, iri, graph.placements.keys() - set(owners), ring)
        return writes

    def _deletes(self, number: int, graph: GraphState, iri: str, nodes: Iterable[str], ring: RingView) -> list[Write]:
        writes = []
        for node in sorted(nodes):
            placement = graph.placements[node]
            if (
                ring.is_up(node)
                and not _is_refused(placement, REFUSED_DELETE, ring)
                and not graph.is_under_way(node, "")
            ):
                graph.mark_sent(node, "")
                writes.append(Write("delete", node, iri, placement.address, graph.version, ring.epoch, number))
        return writes

    def _topic_of(self, node: str) -> str:
        if node not in self._node_topics:
            spec = topics.writes_topic(node, self.output_topics[0])
            self.ensure_topics(spec)
            self._node_topics[node] = spec.name
        return self._node_topics[node]


def _is_refused(placement: Placement, digest: str, ring: RingView) -> bool:
    """Tell whether a node on the ring has refused a write since it came up. After a restart it may have other settings."""
    return placement.refused == digest and (placement.foreign or placement.epoch >= ring.nodes[placement.node].since)


if __name__ == "__main__":
    Router().start()
