"""The yardstick: confluent-kafka by hand, at least once, as fast as one thread of Python goes.

Messages are taken many at a time, the producer calls back for errors only, and once a second it is flushed and the offsets
are committed: nothing is kept for each message. What a link does beside that (retries, dead letters, lanes, partitions
paused by themselves, a drain when partitions move) is left out.
"""

from __future__ import annotations

import signal
import time
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer

from tests.bench.links.contenders.arguments import Arguments, parse

BATCH = 500
COMMIT_INTERVAL = 1.0  # seconds

CONSUMER = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "queued.max.messages.kbytes": 16 * 1024,
}
PRODUCER = {
    "enable.idempotence": True,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "queue.buffering.max.kbytes": 256 * 1024,
    "delivery.report.only.error": True,
}


def main(arguments: Arguments) -> None:
    """Forward until SIGTERM."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    consumer = Consumer({"bootstrap.servers": arguments.endpoint, "group.id": arguments.group, **CONSUMER})
    linger = 0 if arguments.latency else 5
    producer = Producer({"bootstrap.servers": arguments.endpoint, "linger.ms": linger, **PRODUCER})
    consumer.subscribe([arguments.source])
    read = False
    last_commit = time.monotonic()
    while not stopped:
        first = consumer.poll(0.1)
        if first is not None:
            for message in (first, *consumer.consume(BATCH - 1, 0)):
                if message.error():
                    raise KafkaException(message.error())
                record = decode(message.value())
                record["visits"] += 1
                produce(producer, arguments.target, encode(record), message.key())
            read = True
        producer.poll(0)
        if read and time.monotonic() - last_commit >= COMMIT_INTERVAL:
            producer.flush()
            consumer.commit(asynchronous=False)
            read = False
            last_commit = time.monotonic()
    producer.flush()
    if read:
        consumer.commit(asynchronous=False)
    consumer.close()


def produce(producer: Producer, topic: str, value: bytes, key: bytes) -> None:
    """Queue a message; waits while the queue is full."""
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=failed)
            return
        except BufferError:
            producer.poll(0.01)


def failed(error: Any, _message: Any) -> None:
    """End the program: what was not delivered must not be committed."""
    raise KafkaException(error)


if __name__ == "__main__":
    main(parse())
