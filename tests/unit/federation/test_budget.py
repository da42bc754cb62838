"""What a query may use."""

from __future__ import annotations

import threading
import time

import pytest

from federation.budget import Effort, Hold, Limits
from federation.errors import QueryCancelled, QueryTimeout, TooBusy, TooLarge


def test_it_goes_on_while_there_is_time() -> None:
    Effort(60, Limits()).check("nothing")


def test_the_deadline_ends_it_and_grace_delays_that() -> None:
    effort = Effort(-1, Limits())
    with pytest.raises(QueryTimeout, match="waited for node a"):
        effort.check("node a")
    effort.check("node a", grace=60)


def test_it_ends_when_nobody_waits_whether_there_is_time_or_not() -> None:
    gone = threading.Event()
    effort = Effort(60, Limits(), gone.is_set)
    effort.check("node a")
    gone.set()
    with pytest.raises(QueryCancelled):
        effort.check("node a")


def test_the_budget_is_spent_by_all_nodes_together() -> None:
    effort = Effort(60, Limits(most_pulled_bytes=1000))
    refused = []

    def spend() -> None:
        try:
            for _ in range(100):
                effort.spend(1)
        except TooLarge as error:
            refused.append(error)

    threads = [threading.Thread(target=spend) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    with pytest.raises(TooLarge, match="1000 bytes"):
        effort.spend(1)


def test_what_still_comes_in_after_the_end_is_let_go_of() -> None:
    effort = Effort(60, Limits())
    effort.spend(1)
    effort.end()
    with pytest.raises(QueryCancelled):
        effort.spend(0)


def test_steps_are_told_with_the_time_that_they_took() -> None:
    effort = Effort(60, Limits())
    effort.note("ask", "a", "SELECT", 3, 100, time.perf_counter() - 5)
    (step,) = effort.steps
    assert (step.what, step.source, step.text, step.rows, step.size) == ("ask", "a", "SELECT", 3, 100)
    assert 5 <= step.seconds < 30


def test_what_all_queries_hold_is_bounded_and_given_back_once() -> None:
    hold = Hold(100)
    one, other = (Effort(60, Limits(), hold=hold) for _ in range(2))
    one.spend(60)
    with pytest.raises(TooBusy):
        other.spend(50)
    other.spend(40)
    one.end()
    one.end()
    other.spend(60)
    with pytest.raises(TooBusy):
        other.spend(1)
    other.end()
    hold.take(100)
