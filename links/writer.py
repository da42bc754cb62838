"""Writes graphs to the nodes, deletes them there, and reports the acknowledgement of each node.

Run it alone with ``python links/writer.py -k localhost:9092``; start more of it to share the nodes' topics.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from catena_core import Electron
from catena_core.errors import CatenaError, DeliveryError, StoppedError
from catena_core.text import redacted
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import GraphWrite, NodeClient
from topology.clients.node_status import FailedError, RefusedError
from topology.comparison import decode_acknowledged
from topology.former_contents import FormerContents
from topology.inspection import NodeInspector
from topology.node_pauses import NodePauses
from topology.provenance import Provenance
from topology.rdf.by_value import digest_by_value
from topology.records import REFUSED_DELETE, Node, Placement, Write, WriteHead, placement_key
from topology.ring import RingView
from topology.write_batches import in_batches

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
# Attempts to write several graphs together at a node that asks for pauses.
_MOST_BATCHES = 3
# Seconds between two looks at the ring in a pause that a node asks for.
_LONGEST_LOOK = 1.0
# A node that is up has so many attempts to take a graph; one that closes the connection may be down in a moment.
_MOST_FAILURES, _MOST_SILENCES = 8, 16
_FAILURES_OF_A_REPEATED_WRITE = 2
# Seconds that a write waits for the ring by which it was routed.
_RING_TIMEOUT = 10.0
_VERSIONS_KEPT = 200_000
# Seconds between two looks at graphs of nodes' owners that keep offerings out.
_REVIEW_INTERVAL = 60.0


class ConflictError(CatenaError):
    """A node holds a graph that Catena did not put there under the name of an offering."""


class Writer(CatalogueLink):
    """Writes graphs to catalogue nodes, in order for each node, and reports their acknowledgements.

    Every node has a topic of its own, and every partition of it a thread of its own. So a slow or dead node delays only its own
    writes. A write is repeated until the node takes or refuses it, or until the node is no longer up. The router finds the
    graph missing when the node is back. Nodes that take SPARQL Update get several graphs in one request. A graph that a
    node's owner keeps there stays as it is, even if an offering has its name.

    When a node comes up, periodically, and when a gateway misses graphs, the writer compares a node's graphs with those that it
    acknowledged. It reports lost and altered ones, so that the router sends them again.

    Settings: NODE_TIMEOUT (10 s), NODE_INSPECTION_INTERVAL (60 s).
    """

    inputs = (topics.WRITES,)
    outputs = (topics.PLACEMENTS,)
    lanes = "partition"
    batch_size = 100
    batch_linger = 0.05
    dynamic_inputs = True

    def setup(self) -> None:
        """Follow the ring, whose nodes name the topics to read."""
        super().setup()
        self._prefix = next(iter(self.input_topics), topics.WRITES)
        self.remove_input_topic(self._prefix)
        self._web = WebClient(self.settings.node_timeout, access=self.access.nodes)
        self._newest: dict[tuple[str, str], tuple[int, int]] = {}
        # Graphs on which nodes have failed: these get few attempts, since other writes wait for them.
        self._put_off: set[tuple[str, str]] = set()
        self._mine: set[str] = set()
        self._pauses = NodePauses()
        former = FormerContents()
        self._provenance = Provenance(self.table, self._publish, self.output_topics[0], former)
        # Writes that were done together, with the digests of their contents by value.
        self._written: dict[tuple[str, str, int, str], str] = {}
        self._inspector = NodeInspector(
            self.settings.node_inspection_interval,
            self._client,
            self.send,
            self.logger,
            self.wait,
            former,
            lambda: acknowledged.catch_up(),
            lambda node: inspections.get(node),
        )
        inspections = self.table(
            topics.INSPECTIONS, decode=lambda _node, value: records.from_text(value, records.Inspection)
        )
        acknowledged = self.table(
            self.output_topics[0], decode=decode_acknowledged, on_change=self._inspector.placement_changed
        )
        self.table(topics.LOSSES, on_change=lambda node, _old, _new: self._inspector.request(node))
        self.follow_ring(on_change=self._read_topics_of)
        self._read_topics_of(self.ring)
        self.loop(self._inspect, interval=1.0)
        self.loop(self._review_conflicts, interval=_REVIEW_INTERVAL, wait=True)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Remember the topics whose first partition is assigned here: this instance inspects their nodes."""
        self._mine |= {topic for topic, number in partitions if number == 0}
        try:
            self._provenance.catch_up()
        except WebError as error:
            self.logger.log(f"going on with what is known of the nodes' graphs: {error}", level="warning")

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the inspection of these nodes to another instance."""
        self._mine -= {topic for topic, number in partitions if number == 0}
        self._provenance.forget_claims()
        self._written.clear()

    def prepare_batch(self, electrons: Sequence[Electron]) -> None:
        """Claim the new graphs of a batch, and write to the node what it takes in one request.

        The rest, and all of it after an error, :meth:`transform` writes one by one.
        """
        ring, lane = self.ring, _lane(electrons[0]) if electrons else ""
        writes = [write for electron in electrons if (write := _read(electron)) is not None]
        writes = [write for write in writes if write.epoch <= ring.epoch and not self._is_old(write)]
        node = ring.nodes.get(writes[0].node) if writes else None
        if node is None or node.state != "up":
            return
        if len(writes) == 1 and (node.protocol == "graph-store" or not node.endpoints.update):
            return  # a catalogue's own API takes JSON-LD, which costs more than an update
        client = self._client(node)
        for _ in range(_MOST_BATCHES):
            if not self._wait_out_pause(node.id):
                return
            try:
                self._write_batch(client, [write for write in writes if _identity(write) not in self._written], lane)
                return
            except (WebError, UnsafeError) as error:
                self._pauses.note(node.id, error)
                self.logger.log(f"{node.id} does not take {len(writes)} graphs together: {error}")
                if not self._pauses.remaining(node.id):
                    return  # one graph may be at fault; a pause is about the node

    def _wait_out_pause(self, name: str) -> bool:
        """Wait while a node wants no request; return False once it is not up any more."""
        while pause := self._pauses.remaining(name):
            self.wait(min(pause, _LONGEST_LOOK))
            if not self.ring.is_up(name):
                return False
        return True

    def _write_batch(self, client: NodeClient, writes: Sequence[Write], lane: str) -> None:
        foreign = self._provenance.claim(client, [write for write in writes if write.kind == "put"], lane)
        ours = [
            write
            for write in writes
            if write.graph not in foreign and self._provenance.owns(write.node, write.graph, lane)
        ]
        for together in in_batches(ours) if client.takes_batches else ():
            self._write_together(client, together)

    def _write_together(self, client: NodeClient, writes: Sequence[Write]) -> None:
        try:
            client.write([GraphWrite(write.graph, write.triples or None) for write in writes])
            _check_deleted(client, [write for write in writes if write.kind == "delete"])
        except RefusedError as error:  # one graph may be at fault; each is written by itself
            self.logger.log(f"{writes[0].node} refuses {len(writes)} graphs together: {error}")
            return
        for write in writes:
            self._note_written(write)
            self._written[_identity(write)] = _by_value(write)

    def finish(self) -> None:
        """Abandon inspections that hang."""
        if hasattr(self, "_inspector"):
            self._inspector.close()

    def transform(self, electron: Electron) -> Electron | None:
        """Apply one write to its node, with as many attempts as that takes."""
        head, lane = records.from_text(electron.value, WriteHead), _lane(electron)
        if (by_value := self._written.pop(_identity(head), None)) is not None:
            return self._acknowledged(head, lane, by_value)
        if self._is_old(head):
            return None
        write = records.from_text(electron.value, Write)
        problem: Exception | None = None
        wait, failures = _FIRST_WAIT, 0
        ring_due = time.monotonic() + _RING_TIMEOUT
        while True:
            if self.ring.epoch < write.epoch and time.monotonic() < ring_due:
                self.wait(0.05)
                continue
            node = self.ring.nodes.get(write.node)
            if node is None or node.state != "up":
                state = node.state if node else "no member"
                self.logger.log(
                    f"{write.kind} of {write.graph} on {write.node} abandoned, the node is {state}"
                    + (f": {problem}" if problem else ""),
                    level="warning",
                )
                return self._unknown(write, lane, tried=problem is not None)
            if self._pauses.remaining(node.id):
                self._wait_out_pause(node.id)
                continue  # it may have moved meanwhile
            try:
                return self._apply(write, node, lane)
            except UnsafeError as error:
                return self._refused(write, error)
            except WebError as error:
                problem = error
                failures += 1
            self._pauses.note(node.id, problem)
            if failures >= self._most_failures(write, problem):
                return self._failed(write, lane, problem)
            again = max(wait, self._pauses.remaining(node.id))
            self.logger.log(
                f"{write.node} did not take {write.graph}, again in {again:.1f} s: {problem}", level="warning"
            )
            self.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _apply(self, write: Write, node: Node, lane: str) -> Electron:
        client = self._client(node)
        try:
            if write.kind == "put":
                if self._provenance.claim(client, [write], lane):
                    return self._foreign(write)
                client.put(write.graph, write.triples)
            elif self._may_delete(write, lane):
                client.delete(write.graph)
                _check_deleted(client, [write])
        except RefusedError as error:
            return self._refused(write, error)
        self._note_written(write)
        return self._acknowledged(write, lane, _by_value(write))

    def _publish(self, electron: Electron, wait: bool) -> None:
        try:
            self.send(electron, synchronous=wait)
        except DeliveryError as error:
            if isinstance(error.__cause__, StoppedError):  # the link has ended meanwhile, which is no failure
                raise StoppedError from error
            raise

    def _client(self, node: Node) -> NodeClient:
        return NodeClient(node.url, self._web, node.protocol, node.endpoints)

    def _may_delete(self, write: Write, lane: str) -> bool:
        """Tell whether a graph is Catena's to delete. A node's owner may keep one of the same name."""
        if not self._provenance.owns(write.node, write.graph, lane) and not self._provenance.is_placed(
            write.node, write.graph
        ):
            self._provenance.catch_up()  # another instance may have put it there a moment ago
        return self._provenance.owns(write.node, write.graph, lane)

    def _is_old(self, write: WriteHead) -> bool:
        # A router that had lost the partition sent it; the node has a newer description already. One of a later epoch comes
        # from a router that replayed, and compaction may have hidden the newest version from it.
        version, epoch = self._newest.get((write.node, write.graph), (-1, -1))
        return write.version < version and write.epoch <= epoch

    def _note_written(self, write: Write) -> None:
        if len(self._newest) > _VERSIONS_KEPT:
            self._newest.clear()
            self._written.clear()
        self._newest[write.node, write.graph] = write.version, write.epoch
        self._put_off.discard((write.node, write.graph))

    def _acknowledged(self, write: WriteHead, lane: str, by_value: str) -> Electron:
        """Report a write that the node has done."""
        if write.kind == "put":
            return self._placement(write, digest=write.digest, by_value=by_value)
        self._provenance.deleted(write.node, write.graph, lane)
        return Electron(placement_key(write.node, write.graph), None, partition=write.partition)

    def _unknown(self, write: Write, lane: str, tried: bool) -> Electron | None:
        """Report that a node may hold a graph of Catena's, so that the graph will be deleted there too.

        Args:
            write: The write, which was not done.
            lane: Its topic and partition.
            tried: Whether this instance has asked the node. If not, one that crashed may have.
        """
        may_stand = self._provenance.owns(write.node, write.graph, lane)
        if (
            write.kind == "delete"
            or not may_stand
            or (not tried and self._provenance.is_placed(write.node, write.graph))
        ):
            return None
        return self._placement(write)

    def _most_failures(self, write: Write, problem: WebError) -> int:
        if (write.node, write.graph) in self._put_off:
            return _FAILURES_OF_A_REPEATED_WRITE
        return _MOST_FAILURES if isinstance(problem, FailedError) else _MOST_SILENCES

    def _failed(self, write: Write, lane: str, problem: WebError) -> Electron:
        """Report a write on which a node fails although it is up; the router sends it again after a while."""
        self.logger.log(f"{write.node} fails on {write.graph}, put off: {problem}", level="error")
        if len(self._put_off) >= _VERSIONS_KEPT:
            self._put_off.clear()
        self._put_off.add((write.node, write.graph))
        is_claimed = self._provenance.owns(write.node, write.graph, lane)
        return self._placement(write, problem=redacted(str(problem))[:1000], unclaimed=not is_claimed)

    def _foreign(self, write: Write) -> Electron:
        """Report a graph of the node's owner, which keeps an offering of its name out."""
        return self._refused(
            write,
            ConflictError(
                f"{write.node} holds a graph {write.graph} that Catena did not put there; it stays as it is. Rename or delete "
                "it on the node, or give the offering another @id"
            ),
            foreign=True,
        )

    def _refused(self, write: Write, error: CatenaError, foreign: bool = False) -> Electron:
        """Report a write that the node will never take, in the placements and in the dead letters."""
        self.logger.log(f"{write.node} refuses {write.graph}: {error}", level="error")
        reason = {
            "error": redacted(str(error))[:1000],
            "error-type": type(error).__name__,
            "link": type(self).__name__,
            "original-topic": topics.writes_topic(write.node, self._prefix).name,
            "attempts": "1",
            "failed-at": f"{self.now():.3f}",
        }
        dead_letters = self.dead_letter_topic or topics.DEAD_LETTERS
        self.send(Electron(write.graph, records.to_text(write), topic=dead_letters, headers=reason))
        return self._placement(write, refused=write.digest or REFUSED_DELETE, foreign=foreign, problem=reason["error"])

    def _placement(self, write: WriteHead, **outcome: Any) -> Electron:
        placement = Placement(
            write.node, write.graph, write.address, write.version, write.epoch, write.partition, **outcome
        )
        return Electron(placement_key(write.node, write.graph), records.to_text(placement), partition=write.partition)

    # The topics to read, and the inspection of nodes

    def _read_topics_of(self, ring: RingView) -> None:
        wanted = {}
        for node in ring.nodes:
            spec = topics.writes_topic(node, self._prefix)
            wanted[spec.name] = spec
        added = [spec for name, spec in wanted.items() if name not in self.input_topics]
        if added:
            self.ensure_topics(*added)
        for name in wanted:
            self.add_input_topic(name)
        for name in set(self.input_topics) - wanted.keys():
            self.remove_input_topic(name)

    def _review_conflicts(self) -> None:
        """Let the router try again where a node's owner has removed the graph that kept an offering out."""
        nodes = {
            node.id: node
            for node in self.ring.nodes.values()
            if node.state == "up" and topics.writes_topic(node.id, self._prefix).name in self._mine
        }
        for name, traces in self._provenance.conflicts(nodes).items():
            node = nodes[name]
            client = self._client(node)
            try:
                present = client.holds(trace.graph for trace in traces)
            except (WebError, UnsafeError):
                continue  # the node may answer at the next look
            for trace in traces:
                if trace.graph not in present:
                    self.send(Electron(placement_key(name, trace.graph), None, partition=trace.partition))

    def _inspect(self) -> None:
        """Inspect the nodes whose first partition is assigned here, as far as that is due."""
        self._inspector.inspect(
            node
            for node in self.ring.nodes.values()
            if node.state == "up" and topics.writes_topic(node.id, self._prefix).name in self._mine
        )


def _read(electron: Electron) -> Write | None:
    try:
        return records.from_text(electron.value, Write)
    except (msgspec.DecodeError, TypeError):
        return None  # `transform` meets it again, and the library sets it aside


def _lane(electron: Electron) -> str:
    return f"{electron.previous_topic} {electron.partition}"


def _by_value(write: Write) -> str:
    """Return the digest of a put's content with literals by value; empty if it is the same."""
    found = digest_by_value(write.triples)
    return found if write.kind == "put" and found != write.digest else ""


def _identity(write: WriteHead) -> tuple[str, str, int, str]:
    return write.node, write.graph, write.version, write.digest


def _check_deleted(client: NodeClient, deletes: Sequence[Write]) -> None:
    """Check that a node has deleted graphs: no record of Catena names them afterwards, so nothing could find them again.

    Raises:
        FailedError: It says that it has, and holds one still.
    """
    if deletes and (held := client.holds(write.graph for write in deletes)):
        raise FailedError(f"{deletes[0].node} said that it deleted {min(held)}, and holds it still")


if __name__ == "__main__":
    Writer().start()
