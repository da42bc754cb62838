"""How long one hop takes at low load."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.bench.links import records
from tests.bench.links.contender import Contender, DiedError, Running
from tests.bench.links.topics import PARTITIONS, Topics

RATE = 200  # messages per second
SIZE = 160  # bytes: a record of 100 with the time in it
_START_TIMEOUT = 60.0  # seconds
_LAST_TIMEOUT = 5.0

_numbers = itertools.count()


@dataclass(frozen=True)
class Latency:
    """Milliseconds from before the input was produced until the output was in a consumer's hands, by percentile."""

    p50: float
    p95: float
    p99: float
    lost: int


def measure(topics: Topics, contender: Contender, seconds: float) -> Latency:
    """Send 200 messages a second through a contender.

    Args:
        topics: Of the Kafka to use.
        contender: Which.
        seconds: For how long.

    Raises:
        DiedError: It ended, or forwarded nothing.
    """
    name = f"{contender.name}-latency-{next(_numbers)}"
    source, target = topics.make(f"source-{name}"), topics.make_target(f"target-{name}")
    consumer = Consumer(
        {
            "bootstrap.servers": topics.endpoint,
            "group.id": "bench-latency",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(target, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    producer = Producer({"bootstrap.servers": topics.endpoint, "linger.ms": 0, "partitioner": "murmur2_random"})
    try:
        with contender.running(topics.endpoint, source, target, f"group-{name}", latency=True) as running:
            _warm_up(running, producer, consumer, source)
            count = int(seconds * RATE)
            sender = threading.Thread(target=_send, args=(producer, source, count), daemon=True)
            sender.start()
            taken = list(_receive(running, consumer, count, seconds))
            sender.join()
    finally:
        producer.flush(5)
        consumer.close()
        topics.delete(source)
        topics.delete(target)
    if len(taken) < 2:
        raise DiedError("forwarded nothing at low load")
    percentiles = statistics.quantiles(taken, n=100, method="inclusive")
    return Latency(percentiles[49], percentiles[94], percentiles[98], count - len(taken))


def _warm_up(running: Running, producer: Producer, consumer: Consumer, source: str) -> None:
    """Send until each partition's messages come through, and one second more, so that nobody is still starting."""
    deadline = time.monotonic() + _START_TIMEOUT
    arrived: set[int] = set()
    settled: float | None = None
    number = 0
    while settled is None or time.monotonic() < settled:
        running.check()
        if time.monotonic() > deadline:
            raise DiedError("forwarded nothing at low load")
        _produce(producer, source, number, sent=0)
        number += 1
        while (message := consumer.poll(0.01)) is not None:
            if message.error() is None:
                arrived.add(message.partition())
        if len(arrived) == PARTITIONS and settled is None:
            settled = time.monotonic() + 1.0
    while consumer.poll(0.5) is not None:
        pass


def _send(producer: Producer, source: str, count: int) -> None:
    start = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        _produce(producer, source, number, sent=time.monotonic_ns())
    producer.flush(5)


def _produce(producer: Producer, source: str, number: int, sent: int) -> None:
    value = records.record(number, SIZE, sent=sent)
    producer.produce(source, value, f"user-{number % records.USERS:06}".encode())
    producer.poll(0)


def _receive(running: Running, consumer: Consumer, count: int, seconds: float) -> Iterator[float]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    deadline = time.monotonic() + seconds + _LAST_TIMEOUT
    left = count
    while left and time.monotonic() < deadline:
        message = consumer.poll(0.1)
        now = time.monotonic_ns()
        if message is None:
            running.check()
        elif message.error() is None and (sent := decode(message.value())["sent"]):
            left -= 1
            yield (now - sent) / 1e6
