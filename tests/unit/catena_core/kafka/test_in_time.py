"""Calls of Kafka's client that may wait for ever are waited for so long and no longer."""

from __future__ import annotations

import threading

import pytest

from catena_core.kafka.in_time import StuckError, in_time


def test_in_time_returns_when_the_call_has_returned() -> None:
    called = []
    in_time(lambda: called.append(1), 120)

    assert called == [1]


def test_in_time_raises_the_error_of_the_call() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_time(fail, 120)


def test_in_time_leaves_a_call_that_does_not_return_to_itself() -> None:
    answers, returned = threading.Event(), threading.Event()

    def call() -> None:
        answers.wait(300)
        returned.set()

    with pytest.raises(StuckError):
        in_time(call, 0.01)
    answers.set()
    assert returned.wait(120)
