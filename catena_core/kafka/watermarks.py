"""Where the messages of a partition begin and end, asked of a broker that may not lead the partition yet."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

# What a broker says to a client that may not do what it asks for, however often it asks.
REFUSED = frozenset(
    {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_EXCEPTION}
)


def watermarks(consumer: Consumer, topic: str, partition: int, timeout: float) -> tuple[int, int]:
    """The first offset of a partition, and the one that the next message will have.

    A topic that was made this moment, or whose leader has just changed, is known to clients before the broker named as its
    leader knows that it leads; librdkafka hands that error on, so it is asked again here.

    Args:
        consumer: The client that asks.
        topic: The topic.
        partition: Its partition.
        timeout: Seconds for one question, and after which none is asked again.

    Raises:
        KafkaException: The last error, when none of the questions was answered in that time, or the first refusal.
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
    # Of a topic that a client may not describe, librdkafka says that it has no such partition; the metadata tell why.
    error = consumer.list_topics(topic, timeout=timeout).topics[topic].error
    if error is not None:
        raise KafkaException(error)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() not in REFUSED
