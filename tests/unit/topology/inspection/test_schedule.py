"""When a node is inspected, and how much of its time that takes."""

from __future__ import annotations

import threading

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.fake_node import FakeNode
from tests.helpers.inspection import GRAPHS, Clock, Inspecting
from tests.helpers.waiting import eventually
from topology.clients.http import WebError
from topology.clients.node_status import FailedError
from topology.former_contents import FormerContents
from topology.inspection import NodeInspector
from topology.records import Node


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
                known.running.result(120)

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

    def test_inspection_of_a_node_that_asks_for_a_pause_is_repeated_after_it(
        self, inspecting: Inspecting, clock: Clock, rounds: list[Node]
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.problem = FailedError("status 503", pause=25)
        for _ in range(60):
            self.tick(inspecting)
            clock.now += 1

        assert len(rounds) == 3

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
