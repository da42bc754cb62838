"""Retries: how often a failed attempt is repeated, and when it is not."""

import logging
import threading

import pytest

from catena_core.errors import CodecError, DeliveryError, RejectedError, StoppedError, UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.transforming.retry import retry

LOGGER = LinkLogger("Sorter")


class Attempts:
    """Fails with each of these errors in turn, then succeeds."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.made = 0

    def __call__(self):
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)


def run(attempt, first=None, attempts=4, backoff=(0.001, 0.002), stop=None):
    return retry(attempt, first or ValueError("first"), attempts, backoff, stop or threading.Event(), LOGGER)


def test_retry_until_success_returns_nothing(caplog):
    caplog.set_level(logging.WARNING)
    attempt = Attempts(ValueError("second"))
    assert run(attempt) is None
    assert attempt.made == 2
    assert "attempt 1 failed, again in" in caplog.text and "attempt 2 failed, again in" in caplog.text


def test_retry_without_success_returns_the_last_error_and_counts_the_first_attempt():
    attempt, last = Attempts(ValueError("second"), ValueError("third")), KeyError("last")
    attempt.errors.append(last)
    assert run(attempt) == (last, 4)
    assert attempt.made == 3


def test_retry_of_a_single_attempt_makes_no_other():
    attempt, first = Attempts(), ValueError("first")
    assert run(attempt, first, attempts=1) == (first, 1)
    assert attempt.made == 0


@pytest.mark.parametrize("rejection", [RejectedError("no"), CodecError("no")])
def test_retry_of_a_rejected_electron_makes_no_attempt(rejection):
    attempt = Attempts()
    assert run(attempt, rejection) == (rejection, 1)
    assert attempt.made == 0


@pytest.mark.parametrize("rejection", [RejectedError("no"), CodecError("no")])
def test_retry_ends_with_a_rejection(rejection):
    attempt = Attempts(rejection)
    assert run(attempt) == (rejection, 2)


@pytest.mark.parametrize("fatal", [UsageError("no"), DeliveryError("no"), StoppedError("no"), SystemExit()])
def test_retry_raises_what_is_the_links_own_fault(fatal):
    with pytest.raises(type(fatal)) as caught:
        run(Attempts(fatal))
    assert caught.value is fatal


def test_retry_of_a_link_that_stops_ends_its_wait_and_raises():
    stop, attempt = threading.Event(), Attempts()
    stop.set()
    with pytest.raises(StoppedError):
        run(attempt, backoff=(3600, 3600), stop=stop)
    assert attempt.made == 0


def test_retry_whose_electron_is_lost_does_not_wait():
    attempt = Attempts()
    retry(attempt, ValueError("first"), 2, (3600, 3600), threading.Event(), LOGGER, lambda: True)
