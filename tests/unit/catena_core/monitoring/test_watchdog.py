"""The watchdog: what it takes for a stop, and what it says then."""

import logging
import threading

import pytest

from catena_core.monitoring.health import Health
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.watchdog import Watchdog, stacks
from tests.helpers.waiting import eventually


@pytest.fixture
def health():
    return Health("Sorter", "host-1-abc", "sorters", lambda: [("orders", 3), ("orders", 1)])


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watchdog(health, clock):
    return Watchdog(health, LinkLogger("Sorter"), timeout=300, clock=clock)


def test_a_partition_that_stands_still_with_work_in_flight_is_a_problem(watchdog, health, clock):
    watchdog.note(("orders", 3), 40, in_flight=True)
    clock.now += 299
    watchdog.beat()
    watchdog.note(("orders", 3), 40, in_flight=True)
    watchdog.check()
    assert health.problems == {}
    clock.now += 2
    watchdog.check()
    assert list(health.problems) == ["progress orders/3"]
    assert "offset 40 for 301 s" in health.problems["progress orders/3"]


def test_an_idle_partition_is_no_problem_and_its_patience_starts_with_its_work(watchdog, health, clock):
    watchdog.note(("orders", 3), 40, in_flight=True)
    watchdog.note(("orders", 3), 40, in_flight=False)
    clock.now += 1000
    watchdog.beat()
    watchdog.note(("orders", 3), 40, in_flight=True)
    watchdog.check()
    assert health.problems == {}


def test_one_stuck_partition_does_not_blame_another(watchdog, health, clock):
    watchdog.note(("orders", 3), 40, in_flight=True)
    for offset in range(10):
        clock.now += 100
        watchdog.beat()
        watchdog.note(("orders", 3), 40, in_flight=True)
        watchdog.note(("orders", 4), offset, in_flight=True)
    watchdog.check()
    assert list(health.problems) == ["progress orders/3"]


def test_it_is_told_once_with_all_stacks_and_cleared_by_progress(watchdog, health, clock, caplog):
    waiting = threading.Event()
    lane = threading.Thread(target=waiting.wait, name="lane 7", daemon=True)
    lane.start()
    watchdog.note(("orders", 3), 40, in_flight=True)
    clock.now += 301
    watchdog.beat()
    watchdog.check()
    clock.now += 10
    watchdog.check()
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "--- lane 7\n" in told[0].getMessage() and "waiter.acquire()" in told[0].getMessage()
    assert "311 s" in health.problems["progress orders/3"]
    watchdog.note(("orders", 3), 41, in_flight=True)
    watchdog.check()
    assert health.problems == {}
    waiting.set()
    lane.join()


def test_a_partition_that_was_given_up_is_no_problem(watchdog, health, clock):
    watchdog.note(("orders", 3), 40, in_flight=True)
    clock.now += 301
    watchdog.beat()
    watchdog.check()
    assert health.problems
    watchdog.forget(("orders", 3))
    watchdog.check()
    assert health.problems == {}


def test_a_consumer_that_does_not_come_round_is_noticed_by_a_thread_of_its_own(health):
    watchdog = Watchdog(health, LinkLogger("Sorter"), timeout=0.2)
    watchdog.start()
    try:
        eventually(lambda: "has not come round" in health.problems.get("consumer", ""))
        eventually(lambda: (watchdog.beat(), health.problems == {})[1])
    finally:
        watchdog.close()


def test_stacks_name_the_threads():
    assert "--- MainThread\n" in stacks() and "test_stacks_name_the_threads" in stacks()
