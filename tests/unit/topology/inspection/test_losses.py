"""Lost graphs are found and sent again, none of them that is there; a node that forgets is not flooded."""

from __future__ import annotations

import itertools

import pytest

from catena_core.errors import StoppedError
from tests.helpers.inspection import GRAPHS, Clock, Inspecting
from topology.clients.http import UnsafeError, WebError
from topology.comparison import AcknowledgedGraph
from topology.records import Inspection, Node


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
