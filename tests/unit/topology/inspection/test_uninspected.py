"""Nodes that are up and cannot be inspected: the inspector says since when, and whether that lasts."""

from __future__ import annotations

import threading

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.inspection import GRAPHS, Clock, Inspecting
from tests.helpers.waiting import eventually
from topology import records
from topology.clients.http import UnsafeError, WebError
from topology.former_contents import FormerContents
from topology.inspection import NodeInspector
from topology.records import Inspection


def test_failures_of_a_moment_are_told_and_are_not_lasting(inspecting: Inspecting, clock: Clock) -> None:
    inspecting.acknowledge(*GRAPHS)
    inspecting.store.problem = WebError("status 503")

    said = inspecting.inspect()[2]

    assert said == Inspection("n", 1_000_000, problem="status 503", failing_since=1_000_000)


@pytest.mark.parametrize("problem", [WebError("status 403: no"), UnsafeError("too large an answer"), ValueError("odd")])
def test_failures_during_several_intervals_are_lasting_until_one_inspection_is_good(
    inspecting: Inspecting, clock: Clock, problem: Exception
) -> None:
    inspecting.acknowledge(*GRAPHS)
    inspecting.store.problem = problem
    inspecting.inspect()
    clock.now += 179
    assert not inspecting.inspect()[2].lasting
    clock.now += 1

    said = inspecting.inspect()[2]
    assert (said.lasting, said.failing_since, said.problem) == (True, 1_000_000, str(problem))

    inspecting.store.problem = None
    assert inspecting.inspect()[2] == Inspection("n", 1_180_000, graphs=30)
    inspecting.store.problem = problem
    assert not inspecting.inspect()[2].lasting


@pytest.mark.parametrize(("pause", "is_lasting"), [(60, True), (3600, False)])
def test_failures_that_another_instance_has_told_of_just_now_count(
    inspecting: Inspecting, clock: Clock, pause: float, is_lasting: bool
) -> None:
    inspecting.acknowledge(*GRAPHS)
    inspecting.store.problem = WebError("status 503")
    inspecting.inspector._last = {
        "n": Inspection("n", 1_000_000, problem="status 503", failing_since=1_000_000 - 150_000)
    }.get
    clock.now += pause

    assert inspecting.inspect()[2].lasting == is_lasting


def test_inspection_that_comes_to_no_end_is_a_lasting_problem(inspecting: Inspecting, clock: Clock) -> None:
    released = threading.Event()
    inspector = NodeInspector(
        60,
        lambda _: (released.wait(60), inspecting.store)[1],
        inspecting.sent.append,
        LinkLogger("Writer"),
        lambda _: None,
        FormerContents(),
        lambda: None,
    )
    try:
        for _ in range(4):
            inspector.inspect([inspecting.node])
            clock.now += 199
        assert not inspecting.sent
        inspector.inspect([inspecting.node])
        inspector.inspect([inspecting.node])

        (sent,) = inspecting.sent
        said = records.from_text(sent.value, Inspection)
        assert (said.problem, said.lasting) == ("an inspection of it does not come to an end", True)
        assert said.failing_since == 1_000_000
    finally:
        released.set()
        eventually(lambda: len(inspecting.sent) == 2)
        inspector.close()
    assert not records.from_text(inspecting.sent[1].value, Inspection).problem
