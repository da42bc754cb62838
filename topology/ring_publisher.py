"""Publishes the ring in such a way that only the monitor that took over last can do it."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, Producer

from catena_core.errors import CatenaError
from catena_core.kafka.client import client_properties
from catena_core.monitoring.logs import LinkLogger
from topology import records
from topology.records import RING_KEY, Ring

_TIMEOUT = 10.0
_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)


class NotPublishedError(CatenaError):
    """The ring was not published; :meth:`RingPublisher.take_over` comes before the next attempt."""


class FencedError(NotPublishedError):
    """Another monitor has taken over since."""


class RingPublisher:
    """Publishes rings in transactions of one name (KIP-98).

    Kafka gives the name to one producer at a time. Taking it over ends the transaction of its former holder, and Kafka refuses
    everything that the former holder sends later. So a monitor that was paused and wakes up cannot publish an old ring.

    Args:
        endpoint: Kafka's ``host:port``.
        name: The transactional id, the same for all monitors of one ring.
        topic: The ring's topic.
        logger: The log of trouble with brokers.
        properties: Further librdkafka properties.
    """

    def __init__(
        self, endpoint: str, name: str, topic: str, logger: LinkLogger, properties: Mapping[str, str] | None = None
    ) -> None:
        self._topic = topic
        self._settings = {
            **client_properties(endpoint, logger, properties),
            "transactional.id": name,
            "transaction.timeout.ms": int(_TIMEOUT * 1000),
        }
        self._producer: Producer | None = None

    def take_over(self) -> None:
        """Take the name, so that no other producer can publish from now on.

        Raises:
            NotPublishedError: Kafka does not give it.
        """
        try:
            self._producer = Producer(self._settings)
            self._producer.init_transactions(_TIMEOUT)
        except KafkaException as error:
            self._producer = None
            raise NotPublishedError(f"Kafka gives no transactions to this monitor: {error.args[0].str()}") from error

    def publish(self, ring: Ring) -> None:
        """Publish a ring.

        Raises:
            FencedError: Another monitor has taken the name.
            NotPublishedError: It is not known whether it was published, or it was not.
        """
        if self._producer is None:
            raise NotPublishedError("this monitor has not taken over")
        try:
            self._producer.begin_transaction()
            self._producer.produce(self._topic, records.to_text(ring), RING_KEY)
            self._producer.commit_transaction(_TIMEOUT)
        except KafkaException as error:
            self._producer = None
            cause = error.args[0]
            if cause.code() in _FENCED or cause.fatal():
                raise FencedError(f"another monitor publishes the ring by now: {cause.str()}") from error
            raise NotPublishedError(f"the ring was not published: {cause.str()}") from error
