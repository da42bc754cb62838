"""Inspecting nodes: every loss and every alteration is found within some rounds, and nothing else is reported."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from catena_core import Electron
from catena_core.errors import StoppedError
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.fake_node import FakeNode
from tests.helpers.waiting import eventually
from topology import inspection, records, topics
from topology.clients.http import UnsafeError, WebError
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


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inspection, "time", clock)
    return clock


@pytest.fixture
def inspecting() -> Iterator[Inspecting]:
    one = Inspecting()
    yield one
    one.inspector.close()


class TestLosses:
    def test_healthy_node_is_reported_as_such_and_nothing_is_sent_again(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)

        assert inspecting.inspect() == (set(), set(), Inspection("n", 1_000_000, graphs=30))

    def test_lost_graphs_are_found_wherever_they_stand_in_the_list(self, inspecting: Inspecting) -> None:
        graphs = [f"https://p.example/{number}" for number in range(1200)]
        inspecting.acknowledge(*graphs)
        for graph in (graphs[0], graphs[499], graphs[500], graphs[-1]):
            del inspecting.store.graphs[graph]

        lost, altered, said = inspecting.inspect()

        assert lost == {graphs[0], graphs[499], graphs[500], graphs[-1]}
        assert (altered, said.lost, said.graphs) == (set(), 4, 1200)
        assert max(inspecting.store.asked) <= 500

    def test_node_that_was_emptied_has_lost_all(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()

        assert inspecting.inspect()[0] == set(GRAPHS)
        assert inspecting.inspect()[0] == set(), "they are there again"

    def test_graphs_of_others_are_neither_asked_for_nor_reported(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(GRAPHS[0])
        inspecting.store.graphs |= {"https://owner.example/own": "x"}

        assert inspecting.inspect()[:2] == (set(), set())
        assert inspecting.store.asked == [1]

    def test_graph_that_is_deleted_while_the_node_answers_is_not_lost(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        del inspecting.store.graphs[GRAPHS[3]]
        inspecting.store.after_first_look = lambda: inspecting.inspector.placement_changed(
            "", AcknowledgedGraph("n", GRAPHS[3], "0xa", 1, 1, 2, "d"), None
        )

        assert inspecting.inspect()[0] == set()

    def test_graph_that_a_write_replaces_at_that_moment_is_neither_lost_nor_altered(
        self, inspecting: Inspecting
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        del inspecting.store.graphs[GRAPHS[3]]
        inspecting.store.graphs[GRAPHS[4]] = "new"
        inspecting.store.after_first_look = lambda: inspecting.acknowledge(GRAPHS[3], GRAPHS[4], digest="new")

        assert inspecting.inspect()[:2] == (set(), set())

    def test_writes_that_the_link_learns_of_late_are_neither_lost_nor_altered(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        del inspecting.store.graphs[GRAPHS[3]]
        inspecting.store.graphs[GRAPHS[4]] = "new"

        def catch_up() -> None:
            row = AcknowledgedGraph("n", GRAPHS[3], "0xa", 1, 1, 2, "d")
            inspecting.inspector.placement_changed("", row, None)
            inspecting.acknowledge(GRAPHS[4], digest="new")

        inspecting.catch_up = catch_up

        assert inspecting.inspect()[:2] == (set(), set())

    @pytest.mark.parametrize("problem", [WebError("status 503"), UnsafeError("too large"), ZeroDivisionError("odd")])
    def test_node_that_cannot_say_has_lost_nothing_and_the_reason_is_published(
        self, inspecting: Inspecting, problem: Exception
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()
        inspecting.store.problem = problem

        lost, altered, said = inspecting.inspect()

        assert (lost, altered, said.lost, said.problem) == (set(), set(), 0, str(problem))

    def test_node_that_fails_at_the_second_look_has_lost_nothing(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()
        inspecting.store.after_first_look = lambda: setattr(inspecting.store, "problem", WebError("gone"))

        assert inspecting.inspect()[0] == set()

    def test_trouble_is_logged_once(self, inspecting: Inspecting, caplog: pytest.LogCaptureFixture) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.problem = WebError("status 503")
        for _ in range(3):
            inspecting.inspect()

        assert len(caplog.messages) == 1

    def test_link_that_stops_reports_nothing(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.problem = StoppedError()
        inspecting.inspector.inspect_node(inspecting.node)

        assert inspecting.sent == []


class TestContents:
    def test_edited_graph_is_found_within_ten_rounds(self, inspecting: Inspecting) -> None:
        graphs = [f"https://p.example/{number:04}" for number in range(2000)]
        inspecting.acknowledge(*graphs)
        edited = {graphs[7], graphs[999], graphs[1999]}
        inspecting.store.graphs |= dict.fromkeys(edited, "by hand")

        found = [inspecting.inspect()[1] for _ in range(10)]

        assert set().union(*found) == edited
        assert sum(map(len, found)) == 3, "each once"

    def test_small_node_is_read_whole_in_each_round(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs |= dict.fromkeys(GRAPHS, "old backup")

        assert inspecting.inspect()[1] == set(GRAPHS)
        assert inspecting.inspect()[1] == set()

    def test_form_of_the_node_s_own_is_sent_again_once_and_then_told(
        self, inspecting: Inspecting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        put = inspecting.acknowledge
        monkeypatch.setattr(  # the node writes the literals of this graph in its own way
            inspecting,
            "acknowledge",
            lambda graph, **more: (put(graph, **more), inspecting.store.graphs.update({GRAPHS[0]: "01 as 1"})),
        )
        inspecting.store.graphs[GRAPHS[0]] = "01 as 1"

        rounds = [inspecting.inspect() for _ in range(5)]

        assert [altered for _, altered, _ in rounds] == [{GRAPHS[0]}, set(), set(), set(), set()]
        assert [said.own_form for *_, said in rounds] == [0, 1, 1, 1, 1]

    def test_edit_is_warned_of_once_it_is_repaired_and_a_form_of_the_node_s_own_is_not(
        self, inspecting: Inspecting, caplog: pytest.LogCaptureFixture
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs[GRAPHS[0]] = "by hand"
        inspecting.inspect()
        assert not [line for line in caplog.records if line.levelname == "WARNING"]

        inspecting.inspect()
        inspecting.inspect()

        (warning,) = [line for line in caplog.records if line.levelname == "WARNING"]
        assert GRAPHS[0] in warning.getMessage()

    @pytest.mark.parametrize("keeps_by_value", [False, True])
    def test_earlier_content_is_no_form_of_the_node_s_own_and_sent_again_less_and_less_often(
        self, inspecting: Inspecting, keeps_by_value: bool
    ) -> None:
        """The node says that it has stored the newer content, and stores nothing."""
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs[GRAPHS[3]] = "of-the-node" if keeps_by_value else "old"
        inspecting.store.by_value["of-the-node"] = "old"
        inspecting.former.note(GRAPHS[3], "old")
        inspecting.stores_puts = False

        rounds = [inspecting.inspect() for _ in range(8)]

        assert [bool(altered) for _, altered, _ in rounds] == [True, True, False, True, False, False, False, True]
        assert [said.own_form for *_, said in rounds] == [0] * 8
        inspecting.stores_puts = True
        for _ in range(8):
            inspecting.inspect()
        assert inspecting.store.graphs[GRAPHS[3]] == "d"

    def test_the_same_edit_is_repaired_each_time(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        for _ in range(3):
            inspecting.store.graphs[GRAPHS[0]] = "by hand"
            assert inspecting.inspect()[1] == {GRAPHS[0]}
            assert inspecting.inspect()[1] == set()


class TestOldBackups:
    """A node that was set back to an old backup holds graphs again that Catena had deleted there."""

    def delete(self, inspecting: Inspecting, graph: str) -> None:
        row = AcknowledgedGraph("n", graph, "0xa", 1, 1, 2, "d")
        inspecting.inspector.placement_changed("", row, None)
        inspecting.former.note(graph, "older")
        inspecting.store.graphs.pop(graph, None)

    @pytest.fixture
    def deleted(self, inspecting: Inspecting) -> str:
        inspecting.acknowledge(*GRAPHS)
        inspecting.inspect()
        self.delete(inspecting, GRAPHS[3])
        inspecting.repairs = False
        return GRAPHS[3]

    def test_returned_graph_of_a_node_that_lost_others_is_compared_once_more(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"
        del inspecting.store.graphs[GRAPHS[5]]

        lost, unknown, _ = inspecting.inspect()

        assert (lost, unknown) == ({GRAPHS[5]}, {deleted})

    def test_returned_graph_of_a_node_that_came_up_is_compared_once_more(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)

        assert inspecting.inspect()[:2] == (set(), {deleted})

    def test_look_for_returned_graphs_that_fails_is_repeated(self, inspecting: Inspecting, deleted: str) -> None:
        inspecting.store.graphs[deleted] = "older"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)
        inspecting.store.after_first_look = lambda: setattr(inspecting.store, "problem", WebError("status 503"))
        assert inspecting.inspect()[2].problem == "status 503"

        inspecting.store.problem = None

        assert inspecting.inspect()[:2] == (set(), {deleted})
        assert inspecting.inspect()[:2] == (set(), set())

    def test_altered_graph_is_reported_though_the_look_for_returned_ones_fails(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs |= {deleted: "older", GRAPHS[5]: "by hand"}
        holds = inspecting.store.holds

        def failing(graphs: Iterable[str]) -> set[str]:
            if set(graphs) == {deleted}:
                raise WebError("status 503")
            return holds(graphs)

        inspecting.store.holds = failing  # type: ignore[method-assign]

        altered = [
            records.from_text(sent.value, Placement).graph
            for sent in self.sent_by_an_inspection(inspecting)
            if sent.topic != topics.INSPECTIONS and sent.value is not None
        ]

        assert altered == [GRAPHS[5]]

    def sent_by_an_inspection(self, inspecting: Inspecting) -> list[Electron]:
        before = len(inspecting.sent)
        inspecting.inspector.inspect_node(inspecting.node)
        return inspecting.sent[before:]

    def test_graph_with_other_content_belongs_to_the_owner(self, inspecting: Inspecting, deleted: str) -> None:
        inspecting.store.graphs[deleted] = "words of the owner"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)

        assert inspecting.inspect()[:2] == (set(), set())

    def test_graph_on_a_node_that_shows_no_sign_of_a_restart_belongs_to_the_owner(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"

        assert inspecting.inspect()[:2] == (set(), set())

    def test_deleted_graphs_are_remembered_in_bounds(
        self, inspecting: Inspecting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspection, "_GONE_KEPT", 10)
        inspecting.acknowledge(*GRAPHS)
        for graph in GRAPHS:
            self.delete(inspecting, graph)

        assert len(inspecting.inspector._gone_from("n")) == 10


class TestNodesThatForget:
    """A node that accepts everything and stores nothing."""

    def test_repairs_come_at_growing_pauses(
        self, inspecting: Inspecting, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()
        inspecting.stores_puts = False
        repairs = []
        for number in range(100):
            lost, _, said = inspecting.inspect()
            if lost:
                repairs.append(number)
            else:
                assert said.lost == 30, "they are missing all the same"
                assert said.repair_at > clock.now * 1000
            clock.now += 60

        pauses = [later - earlier for earlier, later in itertools.pairwise(repairs)]
        assert pauses == sorted(pauses)
        assert len(repairs) <= 7
        assert any("accepts graphs and loses them again" in line for line in caplog.messages)

    def test_pauses_end_once_it_stores_again(self, inspecting: Inspecting, clock: Clock) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()
        inspecting.stores_puts = False
        for _ in range(10):
            inspecting.inspect()
            clock.now += 60
        inspecting.stores_puts = True
        clock.now += 3600
        assert inspecting.inspect()[0] == set(GRAPHS)
        assert inspecting.inspect()[2] == Inspection("n", int(clock.now * 1000), graphs=30)

        inspecting.store.graphs.clear()

        assert inspecting.inspect()[0] == set(GRAPHS), "a new loss is repaired at once"

    def test_other_graphs_are_repaired_at_once(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.stores_puts = False
        del inspecting.store.graphs[GRAPHS[0]]
        inspecting.inspect()
        assert inspecting.inspect()[0] == set()

        del inspecting.store.graphs[GRAPHS[1]]

        assert inspecting.inspect()[0] == {GRAPHS[1]}

    def test_node_that_went_away_and_came_back_empty_is_repaired_at_once(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        for since in range(2, 6):
            inspecting.store.graphs.clear()
            inspecting.node = Node("n", "http://n.invalid", "up", since)

            assert inspecting.inspect()[0] == set(GRAPHS)


class TestTime:
    @pytest.fixture
    def rounds(self, inspecting: Inspecting, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
        """Give the inspections that were started."""
        started: list[Node] = []
        inspect_node = inspecting.inspector.inspect_node
        monkeypatch.setattr(
            inspecting.inspector, "inspect_node", lambda node: (started.append(node), inspect_node(node))[0]
        )
        return started

    def tick(self, inspecting: Inspecting, *nodes: Node) -> None:
        inspecting.inspector.inspect(nodes or [inspecting.node])
        for known in inspecting.inspector._nodes.values():
            if known.running is not None:
                known.running.result(10)

    def test_node_is_inspected_when_it_comes_up_and_then_about_every_interval(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        for _ in range(601):
            self.tick(inspecting)
            clock.now += 1

        assert 9 <= len(rounds) <= 13

    def test_node_that_came_up_again_is_inspected_at_once(self, inspecting: Inspecting, rounds: list[Node]) -> None:
        self.tick(inspecting)
        self.tick(inspecting)
        self.tick(inspecting, Node("n", "http://n.invalid", "up", 2))

        assert [node.since for node in rounds] == [1, 2]

    def test_request_is_granted_at_once_but_not_every_second(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        self.tick(inspecting)
        clock.now += 6
        for _ in range(10):
            inspecting.inspector.request("n")
            self.tick(inspecting)
            clock.now += 1

        assert len(rounds) == 3

    def test_request_for_a_node_of_another_instance_is_nothing(self, inspecting: Inspecting) -> None:
        inspecting.inspector.request("other")
        self.tick(inspecting)

        assert {electron.key for electron in inspecting.sent} == {"n"}

    def test_failed_inspection_is_repeated_soon_and_then_less_soon(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.problem = WebError("status 503")
        for _ in range(60):
            self.tick(inspecting)
            clock.now += 1

        assert 5 <= len(rounds) <= 8

    def test_repair_is_looked_at_soon_and_the_pause_between_two_looks_counts_as_no_load(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        def wait(seconds: float) -> None:
            clock.now += seconds

        inspecting.inspector._wait = wait
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs.clear()
        for _ in range(45):
            self.tick(inspecting)
            clock.now += 1
        assert len(rounds) == 2, "one that repairs, and one that finds all as it should be"
        for _ in range(36):
            self.tick(inspecting)
            clock.now += 1

        assert len(rounds) == 3

    def test_slow_node_is_asked_for_a_twentieth_of_its_time_at_most(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        inspecting.acknowledge(*GRAPHS)

        def take_time() -> None:
            clock.now += 30

        for _ in range(500):
            inspecting.store.after_first_look = take_time
            self.tick(inspecting)
            clock.now += 5

        assert 3 <= len(rounds) <= 7

    def test_node_that_hangs_delays_no_other(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        hang, other = Node("hung", "http://hung.invalid", "up", 1), FakeNode()
        released = threading.Event()
        inspector = NodeInspector(
            60,
            lambda node: (released.wait(30), other)[1] if node is hang else inspecting.store,
            inspecting._send,
            LinkLogger("Writer"),
            lambda _: None,
            FormerContents(),
            lambda: None,
        )
        try:
            inspector.inspect([hang, inspecting.node])
            eventually(lambda: any(electron.key == "n" for electron in inspecting.sent))
        finally:
            released.set()
            inspector.close()
