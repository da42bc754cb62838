"""Questions for the ids of topics."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from catena_core.embedded import EmbeddedBroker
from catena_core.kafka.topic_ids import Question, TopicIds
from tests.helpers.topic_ids import told


def test_an_answer_leaves_out_topics_whose_id_no_broker_tells() -> None:
    missing: Future[Any] = Future()
    missing.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
    waiting: Future[Any] = Future()
    question = Question({"in": told("KfFi"), "old": told("A" * 22), "missing": missing, "late": waiting})
    assert not question.is_answered
    assert question.answer(0) == {"in": "KfFi"}
    waiting.set_result(told("late").result())
    assert question.is_answered
    assert question.answer(0)["late"]


def test_the_embedded_broker_is_not_asked_since_it_would_not_answer() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("in", 1)
        ids = TopicIds({"bootstrap.servers": broker.endpoint, "log_level": 0})
        question = ids.ask(["in"])
        ids.close()
        assert question.is_answered
        assert question.answer(0) == {}
