"""Anti-entropy: inspects nodes periodically, and reports their lost and altered graphs.

A node may lose graphs without a change of its health: it restarts empty between two checks, comes back from an old backup, or
an operator edits a graph by hand. A report changes placements alone. The router then sends the graphs again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from catena_core import Electron
from catena_core.errors import StoppedError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import bounded, redacted
from topology import records, topics
from topology.comparison import AcknowledgedGraph, Findings, GraphReader, NodeComparison
from topology.former_contents import FormerContents
from topology.node_pauses import pause_of
from topology.records import Inspection, Node, Placement, placement_key

_NODES_AT_ONCE = 4
# A node spends at most a twentieth of its time on inspections.
_PAUSE_FACTOR = 20
# Seconds between two inspections that others ask for.
_SHORTEST_PAUSE = 5.0
_LONGEST_PAUSE = 3600.0
# A node that no inspection has seen for so many intervals is a lasting problem, and so is an inspection that takes as many.
_LASTING, _TOO_SLOW = 3, 10
# Deleted graphs of a node that are looked for there, since it may have been set back to an old backup.
_GONE_KEPT = 10_000


class NodeInspector:
    """Inspects nodes periodically, a few at a time.

    A node that keeps losing the same graphs, because it accepts them and stores nothing, is repaired after growing pauses. A
    failed request is no loss; it is repeated soon.

    Args:
        interval: Seconds between two inspections of a node, about.
        read: Makes the reader of a node.
        send: Sends placements and inspections.
        logger: Logs losses, alterations, and nodes that cannot be inspected.
        wait: Waits for some seconds; raises ``StoppedError`` when the link stops.
        former: Tells which contents Catena once put there.
        catch_up: Waits until :meth:`placement_changed` knows all that Kafka has by now.
        last: Returns the last inspection of a node by any instance; ``None`` if there is none.
    """

    def __init__(
        self,
        interval: float,
        read: Callable[[Node], GraphReader],
        send: Callable[[Electron], None],
        logger: LinkLogger,
        wait: Callable[[float], object],
        former: FormerContents,
        catch_up: Callable[[], object],
        last: Callable[[str], Inspection | None] = lambda _: None,
    ) -> None:
        self._interval = interval
        self._last = last
        self._former = former
        self._catch_up = catch_up
        self._read = read
        self._send = send
        self._logger = logger
        self._wait = wait
        self._lock = threading.Lock()
        self._held: dict[str, dict[str, AcknowledgedGraph]] = {}
        self._gone: dict[str, dict[str, AcknowledgedGraph]] = {}
        self._nodes: dict[str, _InspectedNode] = {}
        self._workers = ThreadPoolExecutor(_NODES_AT_ONCE, thread_name_prefix="inspection")

    def placement_changed(self, _key: str, old: AcknowledgedGraph | None, new: AcknowledgedGraph | None) -> None:
        """Note that a row of the table of placements has changed."""
        with self._lock:
            if new is not None:
                held = self._held.setdefault(new.node, {})
                held.pop(new.graph, None)  # so that it comes last, in the order of acknowledgements
                held[new.graph] = new
                self._gone.get(new.node, {}).pop(new.graph, None)
            elif old is not None:
                self._held.get(old.node, {}).pop(old.graph, None)
                gone = self._gone.setdefault(old.node, {})
                gone[old.graph] = old
                if len(gone) > _GONE_KEPT:
                    del gone[next(iter(gone))]

    def request(self, node: str) -> None:
        """Inspect a node as soon as possible, since a gateway misses graphs there."""
        with self._lock:
            if node in self._nodes:
                self._nodes[node].is_asked_for = True

    def inspect(self, nodes: Iterable[Node]) -> None:
        """Start the inspections that are due.

        Args:
            nodes: All nodes that are up and that this instance inspects; others are forgotten.
        """
        now, too_slow = time.monotonic(), _TOO_SLOW * self._interval
        by_id = {node.id: node for node in nodes}
        with self._lock:
            self._nodes = {name: known for name, known in self._nodes.items() if name in by_id}
        for node in by_id.values():
            inspected = self._inspected(node)
            if inspected.is_due(node, now, min(self._interval, _SHORTEST_PAUSE)):
                inspected.start(self._workers.submit(self.inspect_node, node), now, too_slow)
            elif inspected.is_too_slow(now, too_slow):
                self._publish_failure(node, inspected, "an inspection of it does not come to an end")

    def inspect_node(self, node: Node) -> None:
        """Inspect one node now, and report losses and alterations."""
        inspected = self._inspected(node)
        inspected.begin(node)
        try:
            reader = self._read(node)
            came_up_in = node.since if inspected.may_be_set_back else None
            findings = inspected.comparison.compare(reader, lambda: self._held_by(node.id), came_up_in)
            try:
                returned = self._returned(
                    node, reader, findings
                )  # before reports put further graphs among those that are gone
            finally:
                self._report(node, findings, inspected.finished(findings, self._interval))
            self._report_returned(node, returned)
        except StoppedError:
            return
        except Exception as error:  # a node may break the client in any way
            if not inspected.failures:
                self._logger.log(f"{node.id} cannot be inspected yet: {error}", level="warning")
            inspected.failed(self._interval, pause_of(error))
            self._publish_failure(node, inspected, str(error))
            return
        self._publish(
            Inspection(
                node.id,
                _now(),
                graphs=len(findings.held),
                lost=len(findings.lost),
                altered=len(findings.altered),
                own_form=len(inspected.comparison.own_forms),
                repair_at=inspected.repair_at,
            )
        )

    def close(self) -> None:
        """Start no further inspection; those under way are not waited for."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _inspected(self, node: Node) -> _InspectedNode:
        with self._lock:
            if node.id not in self._nodes:
                self._nodes[node.id] = _InspectedNode(self._wait, self._catch_up, self._former)
            return self._nodes[node.id]

    def _held_by(self, node: str) -> dict[str, AcknowledgedGraph]:
        with self._lock:
            return self._held.get(node, {}).copy()

    def _gone_from(self, node: str) -> dict[str, AcknowledgedGraph]:
        """Return the graphs that Catena deleted from a node, and those that other nodes acknowledged and this one did not.

        An id may stand for another store than before: operators rename nodes, exchange addresses, and restore the backup of
        one node on another.
        """
        with self._lock:
            held = self._held.get(node, {})
            others = {
                graph: row._replace(node=node)
                for name, rows in self._held.items()
                if name != node
                for graph, row in rows.items()
                if graph not in held
            }
            return others | self._gone.get(node, {})

    def _returned(self, node: Node, reader: GraphReader, findings: Findings) -> list[AcknowledgedGraph]:
        """Find returned graphs, where anything speaks for an old backup since the last look for them that did not fail."""
        inspected = self._inspected(node)
        inspected.may_be_set_back |= bool(findings.lost or findings.altered)
        if not inspected.may_be_set_back:
            return []
        returned = inspected.comparison.returned(reader, lambda: self._gone_from(node.id), self._former)
        inspected.may_be_set_back = False
        return returned

    def _report_returned(self, node: Node, returned: Collection[AcknowledgedGraph]) -> None:
        for row in returned:
            self._send(
                Electron(placement_key(row.node, row.graph), records.to_text(_unknown(row)), partition=row.partition)
            )
        if returned:
            self._logger.log(
                f"{node.id} holds {len(returned)} graphs of Catena's that it should not hold any longer; they are compared "
                "once more",
                level="warning",
            )

    def _report(self, node: Node, findings: Findings, resend: Collection[AcknowledgedGraph]) -> None:
        for row in resend:
            self._send(Electron(placement_key(row.node, row.graph), None, partition=row.partition))
        for row in findings.altered:
            # Not a tombstone: the copy is there, and is to be deleted if another node owns the graph by now.
            self._send(
                Electron(placement_key(row.node, row.graph), records.to_text(_unknown(row)), partition=row.partition)
            )
        if resend:
            self._logger.log(
                f"{node.id} has lost {len(resend)} of {len(findings.held)} graphs; they are sent again", level="warning"
            )
        if findings.altered:
            self._logger.log(
                f"{node.id} shows {len(findings.altered)} graphs in another form than it was sent; they are sent again, to see "
                "whether it is the node's own form"
            )
        repaired = self._inspected(node).comparison.repaired
        if repaired:
            self._logger.log(
                f"{node.id} held {len(repaired)} graphs with other content than it was sent, among them {repaired[0]}; they "
                "are right again",
                level="warning",
            )
        if len(resend) < len(findings.lost):
            self._logger.log(
                f"{node.id} accepts graphs and loses them again, {len(findings.lost)} of {len(findings.held)}; the next "
                f"attempt follows in {self._inspected(node).seconds_to_repair():.0f} s",
                level="error",
            )

    def _publish_failure(self, node: Node, inspected: _InspectedNode, problem: str) -> None:
        now, several_intervals = _now(), 1000 * _LASTING * self._interval
        last = self._last(node.id)
        if not inspected.failing_since and last is not None and now - last.at < several_intervals:
            inspected.failing_since = last.failing_since  # another instance inspected it until now
        inspected.failing_since = since = inspected.failing_since or inspected.began_at
        is_lasting = now - since >= several_intervals
        said = bounded(redacted(problem), 300)
        self._publish(Inspection(node.id, now, problem=said, failing_since=since, lasting=is_lasting))

    def _publish(self, inspection: Inspection) -> None:
        self._send(Electron(inspection.node, records.to_text(inspection), topic=topics.INSPECTIONS))


class _InspectedNode:
    """The history of one node's inspections, and the time of the next one."""

    def __init__(self, wait: Callable[[float], object], catch_up: Callable[[], object], former: FormerContents) -> None:
        self.is_asked_for = False
        # True from a sign of an old backup until returned graphs have been looked for.
        self.may_be_set_back = False
        self.running: Future[None] | None = None
        self.failures = 0
        # In milliseconds since the Unix epoch: the first of the failures in a row, and the last inspection.
        self.failing_since = self.began_at = 0
        self._slow_from = 0.0
        self._wait = wait
        self.comparison = NodeComparison(self._wait_between_looks, catch_up, former)
        self._waited = 0.0
        self._came_up = -1
        self._began = float("-inf")
        self._due = 0.0
        # Graphs that were reported lost, and those that the node has acknowledged and lost once more since.
        self._on_trial: set[str] = set()
        self._lost_again: set[str] = set()
        self._relapses = 0
        self._repair_due = 0.0

    def is_due(self, node: Node, now: float, shortest_pause: float) -> bool:
        """Tell whether the node is to be inspected, because of time, of a request, or because it has come up."""
        if self.running is not None and not self.running.done():
            return False
        asked = self.is_asked_for and now - self._began >= shortest_pause
        return node.since != self._came_up or asked or now >= self._due

    def start(self, running: Future[None], now: float, slow_after: float) -> None:
        """Note that an inspection was started, which has so many seconds until it counts as too slow."""
        self.running, self._slow_from, self.began_at = running, now + slow_after, _now()

    def is_too_slow(self, now: float, slow_after: float) -> bool:
        """Tell whether the inspection under way is too slow; the next time in so many seconds."""
        if self.running is None or self.running.done() or now < self._slow_from:
            return False
        self._slow_from = now + slow_after
        return True

    def begin(self, node: Node) -> None:
        """Note that an inspection begins."""
        came_up = node.since != self._came_up
        if came_up:  # it was away, which explains what it lost
            self._on_trial, self._lost_again, self._relapses = set(), set(), 0
            self.may_be_set_back = True
        self._began, self._came_up, self.is_asked_for = time.monotonic(), node.since, False
        self.began_at = _now()
        self._waited = 0.0

    def failed(self, interval: float, pause: float = 0.0) -> None:
        """Repeat a failed inspection soon, and then less and less soon; not before the pause that the node asks for is over."""
        self.failures += 1
        self._due = time.monotonic() + max(pause, min(interval, 0.5 * 2 ** min(self.failures, 20)))

    def finished(self, findings: Findings, interval: float) -> list[AcknowledgedGraph]:
        """Schedule the next inspection.

        Returns:
            The lost graphs to send again now.
        """
        now = time.monotonic()
        self.failures = self.failing_since = 0
        busy = now - self._began - self._waited
        pause = min(max(interval, _PAUSE_FACTOR * busy), _LONGEST_PAUSE)
        self._due = now + pause * random.uniform(0.8, 1.2)
        lost = {row.graph for row in findings.lost}
        relapsed = lost & self._on_trial
        self._lost_again = (self._lost_again & lost) | relapsed
        if relapsed:
            self._relapses += 1
            self._repair_due = now + min(interval * 2.0 ** min(self._relapses - 1, 20), _LONGEST_PAUSE)
        elif not self._lost_again and not self._on_trial:
            self._relapses = 0
        waiting = self._lost_again if now < self._repair_due else set()
        resend = [row for row in findings.lost if row.graph not in waiting]
        # A graph stays on trial until the node has acknowledged it once more and holds it, or has lost it.
        self._on_trial -= findings.held.keys()
        self._on_trial |= {row.graph for row in resend}
        self._lost_again -= self._on_trial
        if resend:  # see soon whether they are there now: a later loss is another one
            self._due = min(self._due, now + max(_SHORTEST_PAUSE, _PAUSE_FACTOR * busy))
        return resend

    def _wait_between_looks(self, seconds: float) -> None:
        self._wait(seconds)
        self._waited += seconds

    def seconds_to_repair(self) -> float:
        """Return the seconds until lost graphs are sent again; 0 if none waits."""
        return max(self._repair_due - time.monotonic(), 0.0) if self._lost_again else 0.0

    @property
    def repair_at(self) -> int:
        """The same as a time in milliseconds since the Unix epoch; 0 if none waits."""
        seconds = self.seconds_to_repair()
        return _now() + int(seconds * 1000) if seconds else 0


def _unknown(row: AcknowledgedGraph) -> Placement:
    return Placement(row.node, row.graph, row.address, row.version, row.epoch, row.partition, in_doubt=True)


def _now() -> int:
    return int(time.time() * 1000)
