"""Writes graphs to the nodes, deletes them there, and reports the acknowledgement of each node.

Run it alone with ``python links/writer.py -k localhost:9092``; start more of it to share the nodes' topics.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from catena_core import Electron
from catena_core.errors import CatenaError
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import FailedError, NodeClient, RefusedError
from topology.records import REFUSED_DELETE, Node, Placement, Write, placement_key
from topology.ring import RingView

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_MOST_FAILURES = 8
# Seconds that a write waits for the ring by which it was routed.
_RING_TIMEOUT = 10.0
_VERSIONS_KEPT = 200_000


class AcknowledgedGraph(NamedTuple):
    """A graph that a node acknowledged."""

    node: str
    graph: str
    partition: int


class Writer(CatalogueLink):
    """Writes graphs to catalogue nodes, in order for each node, and reports their acknowledgements.

    Every node has a topic of its own, and every partition of it a thread of its own. So a slow or dead node delays only its own
    writes. A write is repeated until the node takes or refuses it, or until the node is no longer up. The router finds the
    graph missing when the node is back. When a node comes up, the writer compares its graphs with those
    it acknowledged before, and reports lost ones, so that the router sends them again.

    Settings: NODE_TIMEOUT (10 s).
    """

    inputs = (topics.WRITES,)
    outputs = (topics.PLACEMENTS,)
    lanes = "partition"
    batch_size = 50
    dynamic_inputs = True

    def setup(self) -> None:
        """Follow the ring, whose nodes name the topics to read."""
        super().setup()
        self._prefix = next(iter(self.input_topics), topics.WRITES)
        self.remove_input_topic(self._prefix)
        self._web = WebClient(self.settings.node_timeout)
        self._newest: dict[tuple[str, str], int] = {}
        self._mine: set[str] = set()
        self._inspected: dict[str, int] = {}
        self._placements = self.table(self.output_topics[0], decode=_held)
        self.follow_ring(on_change=self._read_topics_of)
        self._read_topics_of(self.ring)
        self.loop(self._inspect, interval=1.0)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Remember the topics whose first partition is assigned here: this instance inspects their nodes."""
        self._mine |= {topic for topic, number in partitions if number == 0}

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the inspection of these nodes to another instance."""
        self._mine -= {topic for topic, number in partitions if number == 0}

    def transform(self, electron: Electron) -> Electron | None:
        """Apply one write to its node, with as many attempts as that takes."""
        write = records.from_text(electron.value, Write)
        if write.version < self._newest.get((write.node, write.graph), -1):
            return None  # a router that had lost the partition sent it; the node has a newer description already
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
                return self._unknown(write) if problem else None
            try:
                return self._apply(write, node)
            except UnsafeError as error:
                return self._refused(write, error)
            except WebError as error:
                problem = error
                failures += isinstance(error, FailedError)
            if failures >= _MOST_FAILURES:
                # The node is healthy but fails on this graph; the router sends it again after a while.
                self.logger.log(f"{write.node} fails on {write.graph}, put off: {problem}", level="error")
                return self._unknown(write)
            self.logger.log(
                f"{write.node} did not take {write.graph}, again in {wait:.1f} s: {problem}", level="warning"
            )
            self.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _apply(self, write: Write, node: Node) -> Electron:
        client = NodeClient(node.url, self._web, node.protocol)
        try:
            if write.kind == "put":
                client.put(write.graph, write.triples)
            else:
                client.delete(write.graph)
        except RefusedError as error:
            return self._refused(write, error)
        if len(self._newest) > _VERSIONS_KEPT:
            self._newest.clear()
        self._newest[write.node, write.graph] = write.version
        if write.kind == "delete":
            return Electron(placement_key(write.node, write.graph), None, partition=write.partition)
        return self._placement(write, digest=write.digest)

    def _unknown(self, write: Write) -> Electron | None:
        """Report that a node may hold a graph, so that the graph will be deleted there too."""
        return self._placement(write) if write.kind == "put" else None

    def _refused(self, write: Write, error: CatenaError) -> Electron:
        """Report a write that the node will never take, in the placements and in the dead letters."""
        self.logger.log(f"{write.node} refuses {write.graph}: {error}", level="error")
        reason = {
            "error": str(error)[:1000],
            "error-type": type(error).__name__,
            "link": type(self).__name__,
            "original-topic": topics.writes_topic(write.node, self._prefix).name,
            "attempts": "1",
            "failed-at": f"{self.now():.3f}",
        }
        dead_letters = self.dead_letter_topic or topics.DEAD_LETTERS
        self.send(Electron(write.graph, records.to_text(write), topic=dead_letters, headers=reason))
        return self._placement(write, refused=write.digest or REFUSED_DELETE)

    def _placement(self, write: Write, digest: str = "", refused: str = "") -> Electron:
        placement = Placement(
            write.node, write.graph, write.address, write.version, write.epoch, write.partition, digest, refused
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

    def _inspect(self) -> None:
        """Compare the graphs on nodes that came up with those they acknowledged, and report lost ones."""
        for node in self.ring.nodes.values():
            topic = topics.writes_topic(node.id, self._prefix).name
            if node.state != "up" or topic not in self._mine or self._inspected.get(node.id) == node.since:
                continue
            held = [row for row in self._placements.copy().values() if row.node == node.id]
            try:
                present = NodeClient(node.url, self._web, node.protocol).graphs() if held else set()
            except (WebError, UnsafeError) as error:
                self.logger.log(f"{node.id} cannot be inspected yet: {error}", level="warning")
                continue
            lost = [row for row in held if row.graph not in present]
            for row in lost:
                self.send(Electron(placement_key(row.node, row.graph), None, partition=row.partition))
            if lost:
                self.logger.log(
                    f"{node.id} has lost {len(lost)} of {len(held)} graphs; they are sent again", level="warning"
                )
            self._inspected[node.id] = node.since


def _held(key: str, value: object) -> AcknowledgedGraph | None:
    placement = records.from_text(value, Placement)
    return AcknowledgedGraph(placement.node, placement.graph, placement.partition) if placement.digest else None


if __name__ == "__main__":
    Writer().start()
