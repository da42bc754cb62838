"""Quix Streams: a streaming data frame.

At least once is its default; it commits every second here, as the others do. JSON is its own (orjson). lz4 and a linger of
5 ms are the one advice for throughput that its documentation gives: to hand librdkafka's producer properties on.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application  # type: ignore[import-not-found, unused-ignore]

from tests.bench.links.contenders.arguments import Arguments, parse


def visit(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its visits raised by one."""
    record["visits"] += 1
    return record


def main(arguments: Arguments) -> None:
    """Forward until SIGTERM."""
    application = Application(
        broker_address=arguments.endpoint,
        consumer_group=arguments.group,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        commit_interval=1.0,
        producer_extra_config={
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 0 if arguments.latency else 5,
        },
        loglevel="WARNING",
    )
    source = application.topic(arguments.source, value_deserializer="json", key_deserializer="bytes")
    target = application.topic(arguments.target, value_serializer="json", key_serializer="bytes")
    application.dataframe(source).apply(visit).to_topic(target)
    application.run()


if __name__ == "__main__":
    main(parse())
