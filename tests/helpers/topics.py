"""Topics of Apache Kafka as tests want them, and as readers of transactions see them."""

import os
import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def read_committed(broker, topic, partitions=4):
    """All that a reader of finished transactions sees of a topic now."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.endpoint,
            "group.id": uuid.uuid4().hex,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    messages, ends, deadline = [], 0, time.monotonic() + 120
    try:
        while ends < partitions:
            assert time.monotonic() < deadline, f"{topic} has no end"
            found = consumer.consume(1000, 0.2)
            ends += sum(message.error() is not None for message in found)
            messages += [message for message in found if message.error() is None]
    finally:
        consumer.close()
    return messages


def small_topic(broker, name, largest):
    """Make a topic that takes messages up to so many bytes."""
    topic = broker.group(name)
    admin = AdminClient({"bootstrap.servers": broker.endpoint})
    admin.create_topics([NewTopic(topic, 4, 1, config={"max.message.bytes": str(largest)})])[topic].result(120)
    return topic


def overfill(endpoint, topic, partition=0):
    """Send more to a partition than the embedded broker holds."""
    producer = Producer({"bootstrap.servers": endpoint, "log_level": 0})
    for _ in range(8):
        producer.produce(topic, os.urandom(900_000), "key", partition=partition)
        assert producer.flush(120) == 0
