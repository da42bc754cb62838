"""One suite for both brokers: the embedded one, and Apache Kafka."""

import time
import uuid

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.topics import TopicSpec, ensure
from tests.helpers.running import Running


@pytest.fixture(scope="session")
def embedded():
    with EmbeddedBroker(first_rebalance_delay=0.1) as broker:
        yield broker


class Broker:
    """What a test needs of a broker: topics of its own, something in, something out."""

    def __init__(self, endpoint, create_topic=None, properties=None):
        self.endpoint = endpoint
        self.properties = properties or {}
        self._create_topic = create_topic
        self._producer = None
        self._suffix = uuid.uuid4().hex[:8]

    def topic(self, name, partitions=4, compacted=False):
        spec = TopicSpec(f"{name}-{self._suffix}", partitions, compacted)
        if self._create_topic is None:
            ensure(self.endpoint, [spec])
        else:
            self._create_topic(spec.name, partitions)
        return spec.name

    def group(self, name="group"):
        return f"{name}-{self._suffix}"

    def produce(self, topic, pairs, **where):
        if self._producer is None:
            # Idempotent, so that nothing is sent out of order; getting ready for that takes its time, so once for all.
            self._producer = Producer({"bootstrap.servers": self.endpoint, "linger.ms": 5, "enable.idempotence": True})
        producer = self._producer
        for key, value in pairs:
            producer.produce(topic, value, key, **where)
            producer.poll(0)
        assert producer.flush(120) == 0

    def read(self, topic, count, timeout=120.0, settle=0.0, distinct=False):
        """Messages of a topic: at least ``count`` of them, and those that arrive ``settle`` seconds after.

        Where values may come twice, ``distinct`` counts each value once.
        """
        consumer = Consumer(
            {"bootstrap.servers": self.endpoint, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
        )
        messages, deadline = [], time.monotonic() + timeout
        try:
            # Without a group to join: that would take seconds.
            while not (partitions := consumer.list_topics(topic, timeout=60).topics[topic].partitions):
                assert time.monotonic() < deadline, f"there is no topic {topic}"
                time.sleep(0.05)
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
            while _number(messages, distinct) < count and time.monotonic() < deadline:
                messages += [message for message in consumer.consume(1000, 0.1) if message.error() is None]
            until = time.monotonic() + settle
            while time.monotonic() < until:
                messages += [message for message in consumer.consume(1000, 0.1) if message.error() is None]
        finally:
            consumer.close()
        return messages


def _number(messages, distinct):
    return len({message.value() for message in messages} if distinct else messages)


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def broker(request):
    if request.param == "embedded":
        embedded = request.getfixturevalue("embedded")
        return Broker(embedded.endpoint, embedded.create_topic, CLIENT_PROPERTIES)
    return Broker(request.getfixturevalue("kafka").bootstrap)


@pytest.fixture
def embedded_broker(embedded):
    """Give the embedded broker alone, where no broker decides the outcome."""
    return Broker(embedded.endpoint, embedded.create_topic, CLIENT_PROPERTIES)


@pytest.fixture
def run():
    """Run links in threads, and stop them at the end of the test."""
    running = Running()
    yield running
    running.close()
