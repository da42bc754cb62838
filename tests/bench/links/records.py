"""The records that contenders forward, and the check that none was lost or changed otherwise."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

USERS = 10_000
FIRST_VISITS = 1_000_000  # every count has seven digits, so every record of a size has the same length

_READ_TIMEOUT = 30.0  # seconds


def record(number: int, size: int, **more: int) -> bytes:
    """Return the JSON of a user's record, padded with zeros.

    Args:
        number: Which record of its topic; decides user and visits.
        size: Its length in bytes.
        more: Further fields.
    """
    content = {
        "user": f"user-{number % USERS:06}",
        "visits": FIRST_VISITS + number,
        "active": True,
        **more,
        "note": "",
    }
    content["note"] = "0" * (size - len(msgspec.json.encode(content)))
    return msgspec.json.encode(content)


def expected_sum(count: int) -> int:
    """Return the sum of visits over the outputs of the first ``count`` records."""
    return sum(FIRST_VISITS + number + 1 for number in range(count))


def fill(endpoint: str, topic: str, count: int, size: int) -> None:
    """Write the first ``count`` records to a topic, keyed by user."""
    producer = Producer(
        {
            "bootstrap.servers": endpoint,
            "compression.type": "lz4",
            "linger.ms": 20,
            "partitioner": "murmur2_random",
        }
    )
    for number in range(count):
        value = record(number, size)
        while True:
            try:
                producer.produce(topic, value, f"user-{number % USERS:06}".encode())
                break
            except BufferError:
                producer.poll(0.05)
    if left := producer.flush(60):
        raise RuntimeError(f"Kafka did not take {left} of {count} records")


@dataclass
class Outputs:
    """What a topic holds after a contender ran.

    Attributes:
        count: How many messages.
        visits: The sum of their visits.
        misplaced: How many stand under a key that is not their user's.
        arrived: How many the broker appended in each millisecond.
    """

    count: int = 0
    visits: int = 0
    misplaced: int = 0
    arrived: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Messages per second after the first batch."""
        first, last = min(self.arrived), max(self.arrived)
        return (self.count - self.arrived[first]) / max(last - first, 1) * 1000

    def wrong(self, expected: int) -> str:
        """Describe their faults; ``""`` when they are those of the first ``expected`` records."""
        if self.count != expected:
            return f"{self.count} outputs of {expected} inputs"
        if self.visits != expected_sum(expected):
            return f"visits add up to {self.visits}, not {expected_sum(expected)}"
        return f"{self.misplaced} outputs under another key" if self.misplaced else ""


def read(endpoint: str, topic: str) -> Outputs:
    """Read what a topic holds by now, of transactions what is committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": endpoint,
            "group.id": "bench-check",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    outputs = Outputs()
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    ended: set[int] = set()
    deadline = time.monotonic() + _READ_TIMEOUT
    try:
        while len(ended) < len(partitions):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topic} could not be read within {_READ_TIMEOUT:.0f} s")
            for message in consumer.consume(10_000, 0.1):
                if message.error() is None:
                    value = decode(message.value())
                    outputs.count += 1
                    outputs.visits += value["visits"]
                    outputs.misplaced += value["user"].encode() != message.key()
                    outputs.arrived[message.timestamp()[1]] += 1
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                elif message.error().fatal():
                    raise KafkaException(message.error())
    finally:
        consumer.close()
    return outputs
