"""FastStream on confluent-kafka.

At least once means `AckPolicy.ACK`: commit when the handler is through and its outputs are acknowledged. For throughput it
reads and publishes in batches of 500, for latency one by one (a batch waits for its polling interval when it is not full).
orjson and uvloop are installed, both of which it uses where it finds them.
"""

from __future__ import annotations

from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]
import uvloop  # type: ignore[import-not-found, unused-ignore]
from faststream import AckPolicy, FastStream  # type: ignore[import-not-found, unused-ignore]
from faststream.confluent import (  # type: ignore[import-not-found, unused-ignore]
    KafkaBroker,
    KafkaMessage,
    KafkaPublishMessage,
    KafkaResponse,
)

from tests.bench.links.contenders.arguments import Arguments, parse

BATCH = 500


def main(arguments: Arguments) -> None:
    """Forward until SIGTERM."""
    broker = KafkaBroker(
        arguments.endpoint,
        compression_type="lz4",
        enable_idempotence=True,
        acks="all",
        linger_ms=0 if arguments.latency else 5,
        logger=None,
    )
    subscribed = {"group_id": arguments.group, "auto_offset_reset": "earliest", "ack_policy": AckPolicy.ACK}

    if arguments.latency:

        @broker.subscriber(arguments.source, **subscribed)  # type: ignore[untyped-decorator, unused-ignore]
        @broker.publisher(arguments.target)  # type: ignore[untyped-decorator, unused-ignore]
        async def visit(record: dict[str, Any], message: KafkaMessage) -> KafkaResponse:
            record["visits"] += 1
            return KafkaResponse(record, key=message.raw_message.key())
    else:

        @broker.subscriber(arguments.source, batch=True, max_records=BATCH, **subscribed)  # type: ignore[untyped-decorator, unused-ignore]
        @broker.publisher(arguments.target, batch=True)  # type: ignore[untyped-decorator, unused-ignore]
        async def visit_all(records: list[dict[str, Any]], message: KafkaMessage) -> list[KafkaPublishMessage]:
            for record in records:
                record["visits"] += 1
            return [
                KafkaPublishMessage(record, key=raw.key())
                for record, raw in zip(records, message.raw_message, strict=True)
            ]

    anyio.run(FastStream(broker, logger=None).run, backend_options={"loop_factory": uvloop.new_event_loop})


if __name__ == "__main__":
    main(parse())
