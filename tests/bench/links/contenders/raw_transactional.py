"""Exactly once by hand: confluent-kafka's transactions, committed every 100 ms, which is what Kafka Streams does by default.

Source: KIP-447 (https://cwiki.apache.org/confluence/display/KAFKA/KIP-447).
"""

from __future__ import annotations

import signal
import time

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer

from tests.bench.links.contenders import raw
from tests.bench.links.contenders.arguments import Arguments, parse

COMMIT_INTERVAL = 0.1  # seconds


def main(arguments: Arguments) -> None:
    """Forward until SIGTERM."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.endpoint,
            "group.id": arguments.group,
            "isolation.level": "read_committed",
            **raw.CONSUMER,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": arguments.endpoint,
            "transactional.id": arguments.group,
            "linger.ms": 0 if arguments.latency else 5,
            **raw.PRODUCER,
        }
    )
    producer.init_transactions()
    consumer.subscribe([arguments.source])
    began: float | None = None
    while not stopped:
        first = consumer.poll(0.01 if began else 0.1)
        if first is not None:
            if began is None:
                producer.begin_transaction()
                began = time.monotonic()
            for message in (first, *consumer.consume(raw.BATCH - 1, 0)):
                if message.error():
                    raise KafkaException(message.error())
                record = decode(message.value())
                record["visits"] += 1
                raw.produce(producer, arguments.target, encode(record), message.key())
        producer.poll(0)
        if began is not None and (arguments.latency or time.monotonic() - began >= COMMIT_INTERVAL):
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
            )
            producer.commit_transaction()
            began = None
    if began is not None:
        producer.abort_transaction()
    consumer.close()


if __name__ == "__main__":
    main(parse())
