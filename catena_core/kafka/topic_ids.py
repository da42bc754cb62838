"""The ids of topics: a topic that was deleted and made again has another one, though its name is the same.

Brokers tell them since Kafka 2.8 (KIP-516, https://cwiki.apache.org/confluence/display/KAFKA/KIP-516%3A+Topic+Identifiers).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from catena_core.kafka.client import end_client
from catena_core.topics import is_embedded

# Seconds for one question to the brokers.
_TIMEOUT = 2.0

# The id that brokers give where they know none.
_NO_ID = "A" * 22


class Question:
    """A question for the ids of topics.

    Args:
        futures: The answer for each topic, once it is there.
    """

    def __init__(self, futures: Mapping[str, Future[Any]]) -> None:
        self._futures = futures

    @property
    def is_answered(self) -> bool:
        """True if waiting tells nothing more."""
        return all(future.done() for future in self._futures.values())

    def answer(self, timeout: float) -> dict[str, str]:
        """Wait for the ids, at most so many seconds; leave out the topics whose ids the brokers do not tell."""
        wait(self._futures.values(), timeout)
        # Not by `result()` first, whose error would hold the client: see catena_core.topics.
        told = {topic: future for topic, future in self._futures.items() if future.done() and not future.exception()}
        ids = {topic: str(future.result().topic_id) for topic, future in told.items()}
        return {topic: found for topic, found in ids.items() if found != _NO_ID}


class TopicIds:
    """Asks brokers for the ids of topics, and for their partitions. One thread at a time may use it.

    Args:
        properties: The librdkafka properties of its client, which is made when first needed.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = {
            **properties,
            "error_cb": lambda _error: None,  # other clients of the link report those
            "allow.auto.create.topics": False,  # to ask for a topic must not make it, without compaction
        }
        self._client: AdminClient | None = None
        self._has_ids: bool | None = None  # not known yet

    def close(self) -> None:
        """Give up its client now: collected later, in one of its own threads, it would end the process."""
        client, self._client = self._client, None
        end_client(client)

    def ask(self, topics: Collection[str]) -> Question:
        """Ask, and do not wait for the answer; it is empty where brokers know no ids, or none answers."""
        client = self._asking()
        if self._has_ids is None and topics:
            with suppress(KafkaException):  # the next question may reach a broker
                self._has_ids = not is_embedded(client.list_topics(next(iter(topics)), timeout=_TIMEOUT))
        if not self._has_ids or not topics:
            return Question({})
        return Question(client.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT))

    def partitions(self, topic: str, timeout: float) -> set[int]:
        """Return the numbers of a topic's partitions, as brokers tell them now.

        To ask the consumer that reads the topic would hold the whole process, were that client locked up
        (`catena_core.kafka.statistics`): such a question waits for the client without letting other threads run.

        Args:
            topic: Its name.
            timeout: Seconds to wait for an answer.

        Raises:
            KafkaException: No broker answers, or the topic cannot be read.
        """
        found = self._asking().list_topics(topic, timeout=timeout).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return set(found.partitions)

    def _asking(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(self._properties)
        return self._client
