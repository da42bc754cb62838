"""Concurrent transforms: what becomes of batches when the link's own code meddles with the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.errors import StoppedError
from catena_core.transforming.concurrent import ConcurrentLane
from tests.helpers.messages import Message


@pytest.mark.parametrize("in_order", [True, False])
def test_a_transform_that_cancels_all_tasks_ends_the_link_and_no_batch_waits_for_ever(in_order: bool) -> None:
    async def transform(batch: Batch, message: Any, offset: int) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)

    failed: list[BaseException] = []
    finished = threading.Event()
    lane = ConcurrentLane(transform, 1, in_order, failed.append)
    messages: list[Any] = [Message(offset=offset) for offset in range(3)]
    lane.start(Batch(Assignment(("in", 0), replaying=False), messages, [0, 1, 2]), finished.set)
    assert finished.wait(60)
    assert "cancelled tasks" in str(failed[0])
    lane.close()


@pytest.mark.parametrize("reason", [StoppedError(), ValueError("it cannot go on")])
def test_later_electrons_of_a_key_do_not_overtake_one_that_is_left(reason: Exception) -> None:
    transformed: list[int] = []

    async def transform(batch: Batch, message: Any, offset: int) -> None:
        if offset == 1:
            raise reason
        transformed.append(offset)

    finished = threading.Semaphore(0)
    lane = ConcurrentLane(transform, 10, False, lambda _error: None)
    assignment = Assignment(("in", 0), replaying=False)
    for offsets in ([0, 1, 2], [3]):
        messages: list[Any] = [Message(offset=offset, key=b"k") for offset in offsets]
        lane.start(Batch(assignment, messages, offsets), finished.release)
    assert finished.acquire(timeout=60) and finished.acquire(timeout=60)
    assert transformed == [0]
    lane.close()
