"""Lanes: in which thread an electron is transformed, and in which order."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch, Lane, LanePool
from tests.helpers.messages import Message
from tests.helpers.waiting import eventually


class Work:
    """Notes which lane did which offsets, and finishes every batch."""

    def __init__(self) -> None:
        self.by_lane: dict[str, list[int]] = defaultdict(list)

    def process(self, batch: Batch) -> None:
        self.by_lane[threading.current_thread().name] += batch.offsets
        batch.done = len(batch.offsets)


def batch_of(assignment: Assignment, keys: list[str | None]) -> Batch:
    messages: list[Any] = [Message(key=None if key is None else key.encode()) for key in keys]
    return Batch(assignment, messages, list(range(len(keys))))


def unexpected(error: BaseException) -> None:
    raise AssertionError("a call failed") from error


def collect(pool: LanePool, count: int) -> list[Batch]:
    """Take batches until they hold so many messages."""
    found: list[Batch] = []
    while sum(len(batch.messages) for batch in found) < count:
        batch = pool.collect(20)
        assert batch is not None, "a lane did not finish"
        found.append(batch)
    return found


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def pools() -> Iterator[list[LanePool]]:
    pools: list[LanePool] = []
    yield pools
    for pool in pools:
        pool.close()


def opened(pools: list[LanePool], work: Work, lanes: int | str) -> LanePool:
    pool = LanePool(lanes, work.process, lambda: None, unexpected)
    pool.open()
    pools.append(pool)
    return pool


def test_a_lane_runs_calls_in_order_and_then_ends() -> None:
    ran: list[int] = []
    lane = Lane("lane 0", unexpected)
    for number in range(100):
        lane.put(ran.append, number)
    lane.close()
    lane._thread.join(120)
    assert ran == list(range(100))
    assert not lane.is_current


def test_an_idle_lane_may_find_itself_more_work() -> None:
    found = [3, 2, 1]
    ran: list[int] = []

    def idle() -> None:
        ready.wait(120)
        if found:
            lane.put(ran.append, found.pop())

    ready = threading.Event()
    lane = Lane("lane 0", unexpected, idle)
    ready.set()
    eventually(lambda: ran == [1, 2, 3])
    lane.close()


def test_electrons_of_one_key_stay_in_one_lane_and_in_order(work: Work, pools: list[LanePool]) -> None:
    pool = opened(pools, work, 3)
    keys: list[str | None] = [f"k{number % 20}" for number in range(400)]
    pool.dispatch(batch_of(Assignment(("in", 0), False), keys))
    collect(pool, 400)
    lanes_of = defaultdict(set)
    for lane, offsets in work.by_lane.items():
        assert offsets == sorted(offsets)
        for offset in offsets:
            lanes_of[keys[offset]].add(lane)
    assert all(len(lanes) == 1 for lanes in lanes_of.values())
    assert len(work.by_lane) > 1


def test_electrons_without_a_key_are_spread_over_all_lanes(work: Work, pools: list[LanePool]) -> None:
    pool = opened(pools, work, 3)
    pool.dispatch(batch_of(Assignment(("in", 0), False), [None] * 9))
    collect(pool, 9)
    assert sorted(map(sorted, work.by_lane.values())) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_a_single_lane_gets_each_batch_whole(work: Work, pools: list[LanePool]) -> None:
    pool = opened(pools, work, 1)
    batch = batch_of(Assignment(("in", 0), False), ["a", "b", None])
    pool.dispatch(batch)
    assert collect(pool, 3) == [batch]
    assert pool.single is not None and pool.single.name == "lane 0"


def test_each_partition_may_have_a_lane_until_it_is_revoked(work: Work, pools: list[LanePool]) -> None:
    pool = opened(pools, work, "partition")
    for number in range(2):
        pool.assigned(("in", number))
        pool.dispatch(batch_of(Assignment(("in", number), False), ["k"] * (number + 1)))
    collect(pool, 3)
    assert work.by_lane == {"lane in/0": [0], "lane in/1": [0, 1]}
    pool.revoked(("in", 0))
    assert set(pool.depths()) == {"lane in/1"}


def test_electrons_count_as_in_lanes_until_their_batch_is_collected(work: Work, pools: list[LanePool]) -> None:
    pool, assignment = opened(pools, work, 2), Assignment(("in", 0), False)
    pool.dispatch(batch_of(assignment, [None] * 4))
    assert (pool.in_lanes, assignment.in_lanes) == (4, 4)
    collect(pool, 4)
    assert (pool.in_lanes, assignment.in_lanes) == (0, 0)
    assert pool.collect() is None


def test_a_failed_attempt_drops_its_own_outputs_only() -> None:
    batch = batch_of(Assignment(("in", 0), False), ["a", "b"])
    outputs: list[Any] = [(0, "first"), (1, "second"), (1, "third")]
    batch.outputs = outputs
    batch.discard_outputs(1)
    assert batch.outputs == [(0, "first")]


def test_an_urgent_call_comes_before_those_that_wait() -> None:
    ran: list[str] = []
    gate = threading.Event()
    lane = Lane("lane 0", unexpected)

    def wait() -> None:
        gate.wait(120)

    lane.put(wait)
    lane.put(ran.append, "waited")
    lane.put_urgent(lambda: ran.append("urgent"))
    gate.set()
    lane.put(ran.append, "last")
    eventually(lambda: ran == ["urgent", "waited", "last"])
    lane.close()


def test_a_call_that_raises_is_told_and_the_lane_goes_on() -> None:
    errors: list[BaseException] = []
    ran: list[int] = []

    def leave() -> None:
        raise SystemExit(3)

    lane = Lane("lane 0", errors.append)
    lane.put(leave)
    lane.put(ran.append, 1)
    eventually(lambda: ran == [1])
    assert [type(error) for error in errors] == [SystemExit]
    lane.close()


def test_what_a_lane_leaves_is_not_overtaken_by_later_batches_of_its_partition(pools: list[LanePool]) -> None:
    may_go_on: list[bool] = []

    class Left(Work):
        def process(self, batch: Batch) -> None:
            may_go_on.append(not batch.assignment.interrupts or batch.may_go_on())

    pool, assignment = opened(pools, Left(), 1), Assignment(("in", 0), False)
    pool.dispatch(batch_of(assignment, ["k", "k"]))
    pool.dispatch(batch_of(assignment, ["k"]))
    collect(pool, 3)
    assert may_go_on == [True, False]


def test_a_lane_that_leaves_a_revoked_partition_does_not_hide_that_from_others() -> None:
    batch = batch_of(Assignment(("in", 0), False), ["k"])
    seen: list[bool] = []
    batch.run_urgent = lambda: seen.append(batch.assignment.interrupts)
    batch.assignment.revoke()
    assert not batch.may_go_on()
    assert False not in seen and batch.assignment.interrupts


def test_a_revocation_while_urgent_calls_run_is_not_lost() -> None:
    batch = batch_of(Assignment(("in", 0), False), ["k"])
    batch.run_urgent = batch.assignment.revoke
    assert not batch.may_go_on()
    assert batch.assignment.interrupts


def test_only_batches_under_way_hold_up_their_partition(pools: list[LanePool]) -> None:
    gate = threading.Event()

    class Blocked(Work):
        def process(self, batch: Batch) -> None:
            gate.wait(120)

    pool = opened(pools, Blocked(), 1)
    first, second = Assignment(("in", 0), False), Assignment(("in", 1), False)
    pool.dispatch(batch_of(first, ["k"]))
    pool.dispatch(batch_of(second, ["k"]))
    eventually(lambda: pool.is_transforming([first]))
    assert not pool.is_transforming([second])
    gate.set()
    collect(pool, 2)
    eventually(lambda: not pool.is_transforming([first, second]))


def test_batches_that_wait_in_the_lane_of_a_partition_are_transformed_together(pools: list[LanePool]) -> None:
    busy, goes_on = threading.Event(), threading.Event()
    found: list[list[int]] = []

    def process(batch: Batch) -> None:
        found.append(batch.offsets)
        busy.set()
        assert goes_on.wait(60)

    pool = LanePool("partition", process, lambda: None, unexpected, batch_size=3)
    pools.append(pool)
    assignment = Assignment(("t", 0), False)
    pool.assigned(assignment.partition)
    messages: list[Any] = [Message(), Message()]
    pool.dispatch(Batch(assignment, messages[:1], [0]))
    assert busy.wait(60)
    for offsets in ([1], [2, 3], [4, 5]):
        pool.dispatch(Batch(assignment, messages[: len(offsets)], offsets))
    goes_on.set()
    collect(pool, 6)
    assert found == [[0], [1, 2, 3], [4, 5]]
    assert (pool.in_lanes, assignment.in_lanes) == (0, 0)
