"""Errors after which a consumer never reads again end a link, with the remedy; all others may pass."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from catena_core.consuming.refusals import refusal


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
    ],
)
def test_refusal_of_what_passes_by_itself_is_none(code: int) -> None:
    assert refusal(KafkaError(code), "t", "g", None) is None


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "-g GROUP"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "allow this link"),
        (KafkaError.INVALID_SESSION_TIMEOUT, "session.timeout.ms"),
        (KafkaError._AUTO_OFFSET_RESET, "auto.offset.reset"),
    ],
)
def test_refusal_of_what_lasts_names_the_topic_and_the_remedy(code: int, remedy: str) -> None:
    error = refusal(KafkaError(code, "the broker said so"), "lines", "g", None)

    assert str(error).startswith("lines cannot be read: the broker said so; ")
    assert remedy in str(error)


def test_refusal_without_a_topic_names_the_group() -> None:
    assert str(refusal(KafkaError(KafkaError.INVALID_GROUP_ID, "no"), None, "g", None)).startswith(
        "group g reads no more"
    )


@pytest.mark.parametrize(
    "error",
    [KafkaError(KafkaError._FATAL, "something"), KafkaError(KafkaError._TRANSPORT, "something", fatal=True)],
)
def test_refusal_of_a_fatal_error_of_any_code_asks_for_a_restart(error: KafkaError) -> None:
    assert "start the link again" in str(refusal(error, None, "g", None))


@pytest.mark.parametrize(
    ("said", "verb"),
    [("Static consumer fenced by other consumer", "took"), ("the instance id is in use", "has")],
)
def test_refusal_of_a_static_member_says_who_has_its_id(said: str, verb: str) -> None:
    error = KafkaError(KafkaError._FATAL, said)

    assert f"another instance of group g {verb} the instance id one" in str(refusal(error, None, "g", "one"))
    assert "instance of group" not in str(refusal(error, None, "g", None))
