"""Questions to Kafka that a link must have answered: asked again, told of, and given up in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.errors import StoppedError
from catena_core.kafka import patience as module
from catena_core.kafka.patience import Patience
from tests.helpers.waiting import eventually


def answers(*errors: int) -> Callable[[], str]:
    """Make a question that fails with these errors, one after the other, and is answered then."""
    left = list(errors)

    def question() -> str:
        if left:
            raise KafkaException(KafkaError(left.pop(0)))
        return "answer"

    return question


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_question_is_asked_again_while_brokers_restart(code: int) -> None:
    assert Patience(120).ask("topic in", answers(code, code)) == "answer"


def test_a_refusal_is_final() -> None:
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        Patience(120).ask("topic in", answers(KafkaError.TOPIC_AUTHORIZATION_FAILED))


def test_an_error_that_the_question_itself_counts_as_final_is() -> None:
    with pytest.raises(KafkaException):
        Patience(120).ask("topic in", answers(KafkaError._TIMED_OUT), may_pass=lambda _error: False)


def test_a_topic_that_stays_unknown_is_given_up_sooner_than_a_silent_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNKNOWN_FOR", 0.0)
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        Patience(120).ask("topic in", answers(*[KafkaError.UNKNOWN_TOPIC_OR_PART] * 3))


def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        Patience(0.1).ask("topic in", answers(*[KafkaError._TRANSPORT, *[KafkaError._TIMED_OUT] * 100]))


def test_a_wait_that_lasts_is_a_problem_until_it_is_over_and_the_stop_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_AFTER", 0.0)
    stop, errors = threading.Event(), []
    patience = Patience(600, stop)

    def ask() -> None:
        try:
            patience.ask("topic in", answers(*[KafkaError._TRANSPORT] * 100_000))
        except StoppedError as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: "_TRANSPORT" in patience.problems().get("topic in", "") or patience.problems())
    stop.set()
    asking.join(120)
    assert len(errors) == 1
    assert patience.problems() == {}


def test_a_wait_that_makes_progress_is_no_problem() -> None:
    patience = Patience(600)
    with patience.waiting("table rows", "rows is not read to its end yet") as wait:
        wait.since -= 1000
        assert "rows is not read to its end yet; waiting for 1000 s" in patience.problems()["table rows"]
        wait.progressed()
        assert patience.problems() == {}
