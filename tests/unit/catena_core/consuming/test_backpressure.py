"""Backpressure: when a partition is paused, and when it is read on."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core.consuming import backpressure
from catena_core.consuming.assignment import Assignment
from catena_core.consuming.backpressure import Backpressure


class Consumer:
    """Notes which partitions are paused; it fails where one is paused or resumed twice."""

    def __init__(self) -> None:
        self.paused: set[tuple[str, int]] = set()

    def pause(self, partitions: list[Any]) -> None:
        for place in partitions:
            assert (place.topic, place.partition) not in self.paused
            self.paused.add((place.topic, place.partition))

    def resume(self, partitions: list[Any]) -> None:
        for place in partitions:
            self.paused.remove((place.topic, place.partition))


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def assignment() -> Assignment:
    return Assignment(("in", 0), replaying=False)


def made(consumer: Any, batch_size: int = 100) -> Backpressure:
    return Backpressure(consumer, batch_size)


def test_a_partition_is_paused_at_many_batches_and_read_on_at_few(consumer: Consumer, assignment: Assignment) -> None:
    pressure = made(consumer)
    states = []
    for waiting in (800, 801, 500, 200, 199, 500):
        assignment.waiting = waiting
        pressure.apply(assignment)
        states.append(bool(consumer.paused))
    assert states == [False, True, True, True, False, False]
    assert pressure.most_waiting == 800


def test_small_batches_do_not_make_it_pause_early(consumer: Consumer, assignment: Assignment) -> None:
    pressure = made(consumer, batch_size=1)
    assignment.waiting = 400
    pressure.apply(assignment)
    assert not consumer.paused


def test_few_large_electrons_are_too_much_as_well(consumer: Consumer, assignment: Assignment) -> None:
    pressure = made(consumer)
    assignment.bytes_waiting = backpressure.PAUSE_ABOVE_BYTES + 1
    pressure.apply(assignment)
    assert consumer.paused == {("in", 0)}
    assignment.bytes_waiting = backpressure.RESUME_BELOW_BYTES
    pressure.apply(assignment)
    assert consumer.paused
    assignment.bytes_waiting -= 1
    pressure.apply(assignment)
    assert not consumer.paused


@pytest.mark.parametrize(("partitions", "share"), [(0, 1), (4, 1), (8, 2), (64, 16)])
def test_many_partitions_share_what_may_wait(
    consumer: Consumer, assignment: Assignment, partitions: int, share: int
) -> None:
    pressure = made(consumer)
    pressure.partitions = partitions
    assignment.bytes_waiting = backpressure.PAUSE_ABOVE_BYTES // share
    pressure.apply(assignment)
    assert not consumer.paused
    assignment.bytes_waiting += 1
    pressure.apply(assignment)
    assert consumer.paused
    assignment.bytes_waiting = backpressure.RESUME_BELOW_BYTES // share - 1
    pressure.apply(assignment)
    assert not consumer.paused


def test_a_stuck_electron_stops_what_comes_after_it_some_time(consumer: Consumer, assignment: Assignment) -> None:
    """All after it would be repeated after a crash, though little of it waits."""
    pressure = made(consumer)
    offsets = list(range(backpressure.PAUSE_ABOVE_SPAN + 1))
    assignment.tracker.dispatched(offsets)
    assignment.tracker.finished(offsets[1:])
    assert pressure.is_over_limit(assignment)
    pressure.apply(assignment)
    assert consumer.paused and not pressure.is_over_limit(assignment)
    assignment.tracker.finished([0])
    pressure.apply(assignment)
    assert not consumer.paused


def test_a_partition_that_leaves_is_not_left_paused(consumer: Consumer, assignment: Assignment) -> None:
    pressure, other = made(consumer), Assignment(("in", 1), replaying=False)
    assignment.waiting = 1000
    pressure.apply(assignment)
    pressure.release([assignment, other])
    assert not consumer.paused
