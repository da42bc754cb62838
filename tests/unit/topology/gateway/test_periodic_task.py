"""A periodic task runs again after the time that it says, or at once when it is woken, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.helpers.waiting import eventually
from topology.gateway.periodic_task import PeriodicTask


class Work:
    """A function whose runs wait for the test."""

    def __init__(self) -> None:
        self.pause = 3600.0
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.threads: set[int] = set()
        self.task = PeriodicTask(self, "work")

    def __call__(self) -> float:
        self.threads.add(threading.get_ident())
        self.began.release()
        assert self.may_end.acquire(timeout=300)
        return self.pause

    def begins(self) -> bool:
        return self.began.acquire(timeout=120)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.task.stop()
    work.may_end.release(1000)
    work.task._thread.join(120)
    assert not work.task._thread.is_alive()


def test_task_runs_in_a_thread_of_its_own_that_is_started_once(work: Work) -> None:
    work.task.start()
    work.task.start()

    assert work.begins()
    assert work.threads.isdisjoint({threading.get_ident()})
    assert work.task._thread.daemon, "one that hangs holds up no end"


def test_task_runs_again_after_the_pause_that_it_says(work: Work) -> None:
    work.pause = 0.0
    work.may_end.release(3)
    work.task.start()

    assert all(work.begins() for _ in range(4))
    assert len(work.threads) == 1


def test_task_that_is_woken_runs_before_its_pause_is_over(work: Work) -> None:
    work.may_end.release(2)
    work.task.start()
    assert work.begins()
    work.task.wake()

    assert work.begins()


def test_task_that_is_woken_during_a_run_runs_once_more(work: Work) -> None:
    work.task.start()
    assert work.begins()
    work.task.wake()
    work.task.wake()
    work.may_end.release(2)

    assert work.begins()
    eventually(lambda: work.may_end._value == 0 and not work.task._woken.is_set())
    assert not work.began.acquire(blocking=False)


def test_task_that_is_stopped_during_a_run_does_not_run_again(work: Work) -> None:
    work.pause = 0.0
    work.task.start()
    assert work.begins()
    work.task.stop()
    assert work.task.stopped
    work.may_end.release(10)
    work.task._thread.join(120)

    assert not work.task._thread.is_alive()
    assert not work.began.acquire(blocking=False)
