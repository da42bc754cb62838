"""The publisher of the ring: it says whether it was relieved, or what it does not know. Its tests on a broker show that."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.kafka_clients import ProducerClient
from topology import records, ring_publisher
from topology.records import Ring
from topology.ring_publisher import FencedError, NotPublishedError, RingPublisher

RING = Ring(3, (), 50, 2)
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
SILENT = KafkaError(KafkaError._TIMED_OUT, "timed out", retriable=True)


class Publishing:
    """A publisher with the clients that it made, of which the errors of the next may be told."""

    def __init__(self) -> None:
        self.clients: list[ProducerClient] = []
        self.errors: dict[str, list[KafkaError]] = {}
        self.publisher = RingPublisher("broker:1", "monitor", "ring", LinkLogger("Monitor"), {"linger.ms": "7"})

    def client(self, settings: dict[str, Any]) -> ProducerClient:
        client = ProducerClient({"on_delivery": None, **settings})
        client.errors = self.errors
        self.clients.append(client)
        return client


@pytest.fixture
def publishing(monkeypatch: pytest.MonkeyPatch) -> Publishing:
    publishing = Publishing()
    monkeypatch.setattr(ring_publisher, "Producer", publishing.client)
    return publishing


def test_a_ring_is_published_in_a_transaction_of_the_name(publishing: Publishing) -> None:
    publishing.publisher.take_over()
    publishing.publisher.publish(RING)
    (client,) = publishing.clients
    assert (client.settings["transactional.id"], client.settings["linger.ms"]) == ("monitor", "7")
    assert [values for values, _ in client.committed] == [[records.to_text(RING)]]


def test_a_monitor_that_has_not_taken_over_publishes_nothing(publishing: Publishing) -> None:
    with pytest.raises(NotPublishedError, match="has not taken over"):
        publishing.publisher.publish(RING)
    assert publishing.clients == []


@pytest.mark.parametrize(
    "error",
    [
        FENCED,
        KafkaError(KafkaError.PRODUCER_FENCED),
        KafkaError(KafkaError.INVALID_PRODUCER_EPOCH),
        KafkaError(KafkaError._FATAL, "fatal", fatal=True),
    ],
    ids=str,
)
def test_a_relieved_monitor_is_told_so_and_must_take_over_again(publishing: Publishing, error: KafkaError) -> None:
    publishing.publisher.take_over()
    publishing.errors["commit"] = [error]
    with pytest.raises(FencedError, match="another monitor publishes the ring by now"):
        publishing.publisher.publish(RING)
    with pytest.raises(NotPublishedError, match="has not taken over"):
        publishing.publisher.publish(RING)
    publishing.publisher.take_over()
    publishing.publisher.publish(RING)
    assert [len(client.committed) for client in publishing.clients] == [0, 1]


def test_a_silent_broker_is_no_other_monitor_and_the_next_ring_needs_a_new_client(publishing: Publishing) -> None:
    """It is not known whether the transaction was committed: the client must not go on with it."""
    publishing.publisher.take_over()
    publishing.errors["commit"] = [SILENT]
    with pytest.raises(NotPublishedError, match="was not published") as caught:
        publishing.publisher.publish(RING)
    assert not isinstance(caught.value, FencedError)
    with pytest.raises(NotPublishedError, match="has not taken over"):
        publishing.publisher.publish(RING)


def test_a_name_that_kafka_does_not_give_leaves_the_monitor_without_one(publishing: Publishing) -> None:
    publishing.errors["init"] = [SILENT]
    with pytest.raises(NotPublishedError, match="gives no transactions"):
        publishing.publisher.take_over()
    with pytest.raises(NotPublishedError, match="has not taken over"):
        publishing.publisher.publish(RING)
