"""The bounds of a partition, asked of a broker that does not answer at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.kafka.watermarks import watermarks

BUSY = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)


class Consumer:
    """Answers with these errors, one after the other, then with the bounds."""

    def __init__(self, *errors: KafkaError, of_topic: KafkaError | None = None) -> None:
        self.errors, self.of_topic, self.asked = list(errors), of_topic, 0

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        self.asked += 1
        if self.errors:
            raise KafkaException(self.errors.pop(0))
        return 3, 9

    def list_topics(self, topic: str, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=self.of_topic)})


def ask(consumer: Any, timeout: float = 20) -> tuple[int, int]:
    return watermarks(consumer, "in", 0, timeout)


def test_a_broker_that_does_not_lead_the_partition_yet_is_asked_again() -> None:
    consumer = Consumer(BUSY, BUSY)
    assert ask(consumer) == (3, 9)
    assert consumer.asked == 3


def test_a_refusal_is_final() -> None:
    consumer = Consumer(REFUSED)
    with pytest.raises(KafkaException) as caught:
        ask(consumer)
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert consumer.asked == 1


def test_the_topics_own_error_tells_more_than_the_partitions() -> None:
    consumer = Consumer(KafkaError(KafkaError._UNKNOWN_PARTITION), of_topic=REFUSED)
    with pytest.raises(KafkaException) as caught:
        ask(consumer)
    assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    consumer = Consumer(*[BUSY] * 1000)
    with pytest.raises(KafkaException) as caught:
        ask(consumer, timeout=0.2)
    assert caught.value.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION
