"""What a query may use."""

from __future__ import annotations

import threading
import time

import pytest

from federation.budget import Budget, Limits, MemoryPool
from federation.errors import QueryCancelledError, QueryTimeoutError, TooBusyError, TooLargeError


def test_it_goes_on_while_there_is_time() -> None:
    Budget(60, Limits()).check("nothing")


def test_the_deadline_ends_it_and_grace_delays_that() -> None:
    budget = Budget(-1, Limits())
    with pytest.raises(QueryTimeoutError, match="waited for node a"):
        budget.check("node a")
    budget.check("node a", grace=60)


def test_it_ends_when_nobody_waits_whether_there_is_time_or_not() -> None:
    gone = threading.Event()
    budget = Budget(60, Limits(), gone.is_set)
    budget.check("node a")
    gone.set()
    with pytest.raises(QueryCancelledError):
        budget.check("node a")


def test_the_budget_is_charged_by_all_nodes_together() -> None:
    budget = Budget(60, Limits(max_fetched_bytes=1000))
    refused = []

    def charge() -> None:
        try:
            for _ in range(100):
                budget.charge(1)
        except TooLargeError as error:
            refused.append(error)

    threads = [threading.Thread(target=charge) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    with pytest.raises(TooLargeError, match="1000 bytes"):
        budget.charge(1)


def test_only_the_node_that_has_sent_the_most_exceeds_the_limit() -> None:
    memory_pool = MemoryPool(150)
    budget = Budget(60, Limits(max_fetched_bytes=100), memory_pool=memory_pool)
    budget.charge(90, "a")
    budget.charge(30, "b")
    with pytest.raises(TooLargeError):
        budget.charge(1, "a")
    budget.refund("a")
    assert (budget.sent("a"), budget.sent("b")) == (0, 30)
    budget.charge(70, "b")
    with pytest.raises(TooLargeError):
        budget.charge(1, "b")
    budget.end()
    memory_pool.charge(150)


def test_what_still_comes_in_after_the_end_is_let_go_of() -> None:
    budget = Budget(60, Limits())
    budget.charge(1)
    budget.end()
    with pytest.raises(QueryCancelledError):
        budget.charge(0)


def test_steps_are_told_with_the_time_that_they_took() -> None:
    budget = Budget(60, Limits())
    budget.trace.record("ask", "a", "SELECT", 3, 100, time.perf_counter() - 5)
    (step,) = budget.trace.steps
    assert (step.what, step.source, step.text, step.rows, step.size) == ("ask", "a", "SELECT", 3, 100)
    assert 5 <= step.seconds < 30


def test_what_all_queries_hold_is_bounded_and_given_back_once() -> None:
    memory_pool = MemoryPool(100)
    one, other = (Budget(60, Limits(), memory_pool=memory_pool) for _ in range(2))
    one.charge(60)
    with pytest.raises(TooBusyError):
        other.charge(50)
    other.charge(40)
    one.end()
    one.end()
    other.charge(60)
    with pytest.raises(TooBusyError):
        other.charge(1)
    other.end()
    memory_pool.charge(100)


def test_memory_that_a_query_waited_for_is_its_own() -> None:
    memory_pool = MemoryPool(100)
    one, other = (Budget(60, Limits(max_fetched_bytes=50), memory_pool=memory_pool) for _ in range(2))
    one.charge(40, "a")
    other.charge(50, "a")
    one = one.with_memory()
    one.charge(20, "a")
    with pytest.raises(TooBusyError):
        memory_pool.charge(1)
    one.charge(25, "b")
    one.refund("a")
    one.charge(25, "c")
    one.end()
    memory_pool.charge(50)
    with pytest.raises(TooBusyError):
        memory_pool.charge(1)
    other.end()


def test_a_query_whose_client_has_gone_waits_for_no_memory() -> None:
    memory_pool = MemoryPool(100)
    memory_pool.charge(100)
    gone = Budget(60, Limits(max_fetched_bytes=50), cancelled=lambda: True, memory_pool=memory_pool)
    with pytest.raises(QueryCancelledError):
        gone.with_memory()
