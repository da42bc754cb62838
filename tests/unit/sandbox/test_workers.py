"""Threads with deep stacks: what they return, how long they are waited for, and what their end leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from sandbox.workers import DEEP_STACK, Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers("test", 2)
    yield workers
    workers.close()


def test_work_is_done_in_a_thread_of_its_own(workers: Workers) -> None:
    name = asyncio.run(workers.run(lambda: threading.current_thread().name))

    assert name.startswith("test")


def test_error_of_work_is_raised(workers: Workers) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(workers.run(fail))


def test_work_that_takes_too_long_is_given_up_and_the_others_go_on(workers: Workers) -> None:
    leave = threading.Event()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(workers.run(lambda: leave.wait(120), within=0.01))

    assert asyncio.run(workers.run(lambda: "done", within=120)) == "done"
    leave.set()


def test_as_many_threads_work_at_a_time_as_there_should_be(workers: Workers) -> None:
    together = threading.Barrier(2)

    async def run() -> None:
        await asyncio.gather(*(workers.run(lambda: together.wait(120)) for _ in range(2)))

    asyncio.run(run())


def test_threads_have_deep_stacks_and_later_ones_of_the_process_have_not() -> None:
    before = threading.stack_size()
    sizes: list[int] = []
    set_size = threading.stack_size
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading, "stack_size", lambda size=0: sizes.append(size) or set_size(size))
        Workers("test", 1).close()

    assert sizes == [DEEP_STACK, before]
    assert threading.stack_size() == before


def test_deep_recursion_of_a_parser_does_not_end_the_process(workers: Workers) -> None:
    from pyoxigraph import Store

    query = "ASK { FILTER(" + "(" * 20_000 + "true" + ")" * 20_000 + ") }"

    assert asyncio.run(workers.run(lambda: bool(Store().query(query))))


def test_closed_workers_start_no_more_work() -> None:
    workers = Workers("test", 1)
    workers.close()

    with pytest.raises(RuntimeError):
        asyncio.run(workers.run(lambda: None))
