"""FastStream on confluent-kafka.

At least once means `AckPolicy.ACK`: commit when the handler is through and its outputs are acknowledged. It reads and
publishes in batches of 500. A batch that is not full waits for the polling interval, so that is short where latency is
measured; one by one it waits for each acknowledgement, and does not keep up with 200 messages a second on two busy cores.
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
    subscriber = broker.subscriber(
        arguments.source,
        group_id=arguments.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        batch=True,
        max_records=BATCH,
        polling_interval=0.005 if arguments.latency else 0.1,
    )

    @subscriber  # type: ignore[untyped-decorator, unused-ignore]
    @broker.publisher(arguments.target, batch=True)  # type: ignore[untyped-decorator, unused-ignore]
    async def visit_all(records: list[dict[str, Any]], message: KafkaMessage) -> list[KafkaPublishMessage]:
        for record in records:
            record["visits"] += 1
        return [
            KafkaPublishMessage(record, key=raw.key()) for record, raw in zip(records, message.raw_message, strict=True)
        ]

    anyio.run(FastStream(broker, logger=None).run, backend_options={"loop_factory": uvloop.new_event_loop})


if __name__ == "__main__":
    main(parse())
