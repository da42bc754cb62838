"""The links on Kafka, as the overview shows them. Looks happen only while clients read it, and a failure hurts nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from catena_core.embedded import EmbeddedBroker
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import closed_port
from topology import consumer_groups, topics
from topology.consumer_groups import ConsumerGroups, LinkStatus

WRITES = topics.writes_topic("node_1")


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """Run a broker on which the writer has finished two of five writes."""
    with EmbeddedBroker([*topics.SPECS, WRITES]) as broker:
        client = {"bootstrap.servers": broker.endpoint}
        producer = Producer(client)
        for _ in range(5):
            producer.produce(WRITES.name, "x", partition=0)
        producer.flush()
        consumer = Consumer({**client, "group.id": "Writer"})
        consumer.commit(offsets=[TopicPartition(WRITES.name, 0, 2)], asynchronous=False)
        consumer.close()
        yield broker


def groups_on(endpoint: str) -> ConsumerGroups:
    return ConsumerGroups(endpoint, LinkLogger("Gateway"), {})


def test_links_are_looked_at_once_somebody_has_asked(broker: EmbeddedBroker) -> None:
    groups = groups_on(broker.endpoint)
    groups.look()
    assert list(groups.links()) == []

    groups.look()
    assert list(groups.links()) == [LinkStatus("Writer", None, "", 3)]


def test_kafka_that_does_not_tell_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer_groups, "_TIMEOUT", 0.5)
    groups = groups_on(f"127.0.0.1:{closed_port()}")
    groups.links()
    with caplog.at_level(logging.WARNING):
        groups.look()
        groups.look()

    assert list(groups.links()) == []
    assert len([line for line in caplog.messages if "does not tell of the links" in line]) == 1
