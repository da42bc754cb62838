"""Failures in a row: when they are a problem of a link's health, and when they are over."""

import pytest

from catena_core.monitoring.failures import FailuresInARow


@pytest.fixture
def clock(monkeypatch):
    """Give the time in seconds, for tests to move."""
    now = [1000.0]
    monkeypatch.setattr("catena_core.monitoring.failures.time.monotonic", lambda: now[0])
    return now


def fail(generator, times):
    for _ in range(times):
        generator.began()
        generator.failed(ValueError("no such host"))


def test_a_few_failures_are_no_problem(clock):
    generator = FailuresInARow("generator")
    fail(generator, 2)
    generator.succeeded()
    fail(generator, 2)
    assert generator.problems() == {}


def test_failures_in_a_row_are_a_problem_until_a_call_succeeds(clock):
    generator = FailuresInARow("generator")
    fail(generator, 4)
    clock[0] += 3600  # until the next call of a loop
    assert generator.problems() == {"generator": "generator has failed 4 times in a row: ValueError('no such host')"}
    generator.began()
    generator.succeeded()
    assert generator.problems() == {}


def test_a_call_that_goes_on_for_long_has_got_over_its_failures(clock):
    generator = FailuresInARow("generator")
    fail(generator, 4)
    generator.began()
    clock[0] += 61
    assert generator.problems() == {}
    generator.failed(ValueError("again"))
    assert generator.problems() == {}


def test_a_problem_shows_no_password(clock):
    generator = FailuresInARow("generator")
    for _ in range(3):
        generator.failed(ConnectionError("mongodb://ada:secret@host refuses"))
    assert "secret" not in generator.problems()["generator"]
