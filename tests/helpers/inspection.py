"""An inspection of a node whose graphs a test changes, and its clock."""

from __future__ import annotations

from collections.abc import Callable

from catena_core import Electron
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.fake_node import FakeNode
from topology import records, topics
from topology.comparison import AcknowledgedGraph
from topology.former_contents import FormerContents
from topology.inspection import NodeInspector
from topology.records import Inspection, Node, Placement, split_placement_key

GRAPHS = [f"https://p.example/{number:04}" for number in range(30)]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Inspecting:
    """An inspector of one node, `n`, whose lost graphs are put there again as the router would do."""

    def __init__(self, interval: float = 60, *, repairs: bool = True) -> None:
        self.store = FakeNode()
        self.node = Node("n", "http://n.invalid", "up", 1)
        self.sent: list[Electron] = []
        self.repairs = repairs
        self.stores_puts = True
        self.former = FormerContents()
        self.inspector = NodeInspector(
            interval,
            lambda _: self.store,
            self._send,
            LinkLogger("Writer"),
            lambda _: None,
            self.former,
            lambda: self.catch_up(),
        )
        self.catch_up: Callable[[], object] = lambda: None

    def acknowledge(self, *graphs: str, digest: str = "d", held: bool = True) -> None:
        for graph in graphs:
            self.inspector.placement_changed("", None, AcknowledgedGraph("n", graph, "0xa", 1, 1, 2, digest))
            if held:
                self.store.graphs[graph] = digest

    def _send(self, electron: Electron) -> None:
        self.sent.append(electron)
        if electron.topic == topics.INSPECTIONS:
            return
        _, graph = split_placement_key(electron.key)
        self.inspector.placement_changed("", AcknowledgedGraph("n", graph, "0xa", 1, 1, 2, "d"), None)
        if self.repairs:
            self.acknowledge(graph, held=self.stores_puts)

    def inspect(self) -> tuple[set[str], set[str], Inspection]:
        """Inspect once; the lost and altered graphs that it reports, and what it says of the node."""
        before = len(self.sent)
        self.inspector.inspect_node(self.node)
        *placements, last = self.sent[before:]
        assert (last.topic, last.key) == (topics.INSPECTIONS, "n")
        lost = {split_placement_key(one.key)[1] for one in placements if one.value is None}
        altered = [records.from_text(one.value, Placement) for one in placements if one.value is not None]
        assert all(one.partition == 2 for one in placements)
        assert all(not one.digest for one in altered)
        return lost, {one.graph for one in altered}, records.from_text(last.value, Inspection)
