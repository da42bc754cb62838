"""The order of requests to providers: bounded by host and in all, and good hosts before suspects."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from topology.fetching.queue import Fetch, FetchQueue

OWN = "own.example"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def queue(clock: Clock, slots: int = 4) -> FetchQueue:
    return FetchQueue(slots, lambda host: host == OWN, lambda: clock.now)


def put(waiting: FetchQueue, host: str, *names: str, failures: int = 0) -> None:
    for name in names:
        waiting.put(Fetch(name, host, failures))


def take(waiting: FetchQueue) -> list[Fetch]:
    """Take all that may start now."""
    taken = []
    while fetch := waiting.take():
        taken.append(fetch)
    return taken


def names(fetches: list[Fetch]) -> list[str]:
    return [fetch.address for fetch in fetches]


def test_a_host_gets_one_request_at_a_time(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, "a", "a1", "a2")

    (first,) = take(waiting)
    assert first.address == "a1"
    waiting.done(first)
    assert names(take(waiting)) == ["a2"]


def test_an_own_host_gets_as_many_as_there_are_slots(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, OWN, *"123456")

    assert names(take(waiting)) == ["1", "2", "3", "4"]


def test_hosts_take_turns(clock: Clock) -> None:
    waiting = queue(clock, slots=1)
    put(waiting, "a", "a1", "a2", "a3")
    put(waiting, "b", "b1")
    order = []
    while fetch := waiting.take():
        order.append(fetch.address)
        waiting.done(fetch)

    assert order == ["a1", "b1", "a2", "a3"]


def test_addresses_that_failed_get_half_of_the_slots_and_come_last(clock: Clock) -> None:
    waiting = queue(clock)
    for number in range(5):
        put(waiting, f"bad{number}", f"bad{number}", failures=1)
    put(waiting, "good", "good")

    assert names(take(waiting)) == ["good", "bad0", "bad1"]


def test_a_host_that_timed_out_is_a_suspect_until_it_answers(clock: Clock) -> None:
    waiting = queue(clock, slots=2)
    for host in ("a", "b"):
        put(waiting, host, f"{host}1", f"{host}2")
        fetch = waiting.take()
        assert fetch is not None
        waiting.timed_out(fetch)
        waiting.done(fetch)

    put(waiting, "c", "c1")
    good, suspect = take(waiting)
    assert (good.address, suspect.address) == ("c1", "a2")
    waiting.answered(suspect, 0.1)
    for fetch in (good, suspect):
        waiting.done(fetch)
    put(waiting, "a", "a3")
    assert names(take(waiting)) == ["a3", "b2"]


def test_an_address_that_timed_out_holds_up_no_other_of_its_host(clock: Clock) -> None:
    waiting = queue(clock)
    for name in ("slow1", "slow2"):
        waiting.put(Fetch(name, "a", failures=1, timeouts=1))
    put(waiting, "a", "good1", "good2")

    good, slow = take(waiting)
    assert (good.address, slow.address) == ("good1", "slow1")
    waiting.done(good)
    assert names(take(waiting)) == ["good2"]
    waiting.timed_out(slow)
    waiting.done(slow)
    assert names(take(waiting)) == ["slow2"]


def test_failures_leave_room_for_the_good_addresses_of_suspects(clock: Clock) -> None:
    waiting = queue(clock, slots=10)
    for number in range(20):
        waiting.put(Fetch(f"failed{number}", f"host{number}", failures=3, timeouts=3))
    assert len(take(waiting)) == 5
    for number in range(20, 40):
        waiting._host(f"host{number}").timeouts = 1
        put(waiting, f"host{number}", f"suspect{number}")
    assert len(take(waiting)) == 3
    put(waiting, "good", "good")
    put(waiting, "better", "better")
    assert names(take(waiting)) == ["good", "better"]


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_few_slots_are_enough_for_all_standings(clock: Clock, slots: int) -> None:
    waiting = queue(clock, slots)
    put(waiting, "a", "failed", failures=1)
    waiting._host("b").timeouts = 1
    put(waiting, "b", "suspect")
    put(waiting, "c", "good")
    order = []
    while fetch := waiting.take():
        order.append(fetch.address)
        waiting.done(fetch)

    assert order == ["good", "suspect", "failed"]


def test_a_request_moves_on_at_once_or_waits_for_its_turn(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, OWN, "1", "2")
    one, two = take(waiting)

    assert waiting.move(one, "a")
    assert not waiting.move(two, "a")
    assert take(waiting) == []
    waiting.done(one)
    assert take(waiting) == [two]


def test_first_requests_get_few_seconds_and_later_ones_more(clock: Clock) -> None:
    waiting = queue(clock)
    fetch = Fetch("1", "a")

    assert [waiting.timeout(Fetch("1", "a", timeouts=number), 60) for number in range(5)] == [3, 9, 27, 60, 60]
    assert waiting.timeout(fetch, 1) == 1


def test_a_slow_host_keeps_the_time_that_it_needs(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, "a", "1")
    fetch = waiting.take()
    assert fetch is not None
    waiting.answered(fetch, 5)
    waiting.done(fetch)

    assert waiting.timeout(Fetch("2", "a"), 60) >= 10


def test_a_host_that_never_answers_gets_pauses_that_grow(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, "a", *map(str, range(40)))
    asked = 0
    for _ in range(600):
        clock.now += 1
        if fetch := waiting.take():
            asked += 1
            waiting.timed_out(fetch)
            waiting.done(fetch)

    assert 20 < asked < 26


@pytest.mark.parametrize("host", ["a", OWN])
def test_a_host_may_ask_for_a_pause(clock: Clock, host: str) -> None:
    waiting = queue(clock)
    put(waiting, host, "1", "2")
    fetch = waiting.take()
    assert fetch is not None
    waiting.pause(fetch, 30)
    waiting.done(fetch)
    assert names(take(waiting)) == []
    clock.now += 31
    assert names(take(waiting)) == ["2"]


def test_an_own_host_that_never_answers_gets_no_pause(clock: Clock) -> None:
    waiting = queue(clock)
    put(waiting, OWN, *map(str, range(40)))
    for _ in range(40):
        fetch = waiting.take()
        assert fetch is not None
        waiting.timed_out(fetch)
        waiting.done(fetch)


def test_what_is_due_later_waits_until_then(clock: Clock) -> None:
    waiting = queue(clock)
    waiting.put(Fetch("late", "a"), due=1010)
    waiting.put(Fetch("soon", "b"), due=1005)

    assert take(waiting) == []
    clock.now = 1006
    assert names(take(waiting)) == ["soon"]
    clock.now = 1011
    assert names(take(waiting)) == ["late"]


def test_a_waiting_thread_is_woken_by_a_new_request() -> None:
    waiting = FetchQueue(1, lambda _host: False)
    taken: list[Fetch | None] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take(10)))
    thread.start()
    put(waiting, "a", "1")
    thread.join(120)

    assert [fetch and fetch.address for fetch in taken] == ["1"]


def test_nothing_of_a_host_is_kept_when_it_is_done(clock: Clock) -> None:
    waiting = queue(clock)
    for number in range(100):
        put(waiting, f"host{number}", "1")
        for fetch in take(waiting):
            waiting.answered(fetch, 0.1)
            waiting.done(fetch)

    assert not waiting._hosts
    assert not waiting._turns


def test_many_threads_never_exceed_the_bounds() -> None:
    waiting = FetchQueue(6, lambda host: host == OWN)
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    lock = threading.Lock()
    for number in range(60):
        put(waiting, OWN if number % 3 == 0 else f"host{number % 3}", str(number), failures=number % 2)

    def work() -> None:
        while fetch := waiting.take(1.0):
            with lock:
                running[fetch.host] += 1
                most[fetch.host] = max(most[fetch.host], running[fetch.host])
            time.sleep(0.002)
            with lock:
                running[fetch.host] -= 1
            waiting.done(fetch)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert most["host1"] == most["host2"] == 1
    assert most[OWN] <= 6
    assert waiting.take() is None
