"""Watermarks: the first and the next offset of a partition, from a broker that may not lead it yet."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

# The errors of a client without the permission for a request, which no retry mends.
REFUSED = frozenset(
    {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_EXCEPTION}
)


def watermarks(consumer: Consumer, topic: str, partition: int, timeout: float) -> tuple[int, int]:
    """Ask for the first offset of a partition, and the one that the next message will have.

    Clients know a new topic, or a new leader, before that broker knows that it leads; librdkafka hands its error on, so the
    question is repeated here.

    Args:
        consumer: The client that asks.
        topic: The topic.
        partition: Its partition.
        timeout: Seconds for one question, and for all of them.

    Raises:
        KafkaException: The last error, if there was no answer in that time, or the first refusal.
    """
    for attempt in Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_exponential(0.05, max=1),
        stop=stop_after_delay(timeout),
        reraise=True,
    ):
        with attempt:
            try:
                bounds: tuple[int, int] = consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=timeout
                )
            except KafkaException:
                _check_topic(consumer, topic, timeout)
                raise
    return bounds


def _check_topic(consumer: Consumer, topic: str, timeout: float) -> None:
    # For a topic that a client may not describe, librdkafka reports a missing partition; the metadata name the reason.
    error = consumer.list_topics(topic, timeout=timeout).topics[topic].error
    if error is not None:
        raise KafkaException(error)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() not in REFUSED
