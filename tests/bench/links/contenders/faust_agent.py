"""Faust (faust-streaming): an agent.

At least once is its default; before it commits, once a second here, it flushes its producer. Its extras for speed are
installed (Cython, orjson, uvloop), and the producer has lz4, larger batches and a linger of 5 ms, by its own settings.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from typing import Any

import mode.loop  # type: ignore[import-not-found, unused-ignore]

from tests.bench.links.contenders.arguments import Arguments, parse


def main(arguments: Arguments) -> None:
    """Forward until SIGTERM."""
    mode.loop.use("uvloop")  # before faust is imported, which would settle for asyncio's own loop
    import faust  # type: ignore[import-not-found, unused-ignore]

    application = faust.App(
        arguments.group,
        broker=f"kafka://{arguments.endpoint}",
        processing_guarantee="at_least_once",
        broker_commit_interval=1.0,
        producer_acks=-1,
        producer_compression_type="lz4",
        producer_linger=0.0 if arguments.latency else 0.005,
        producer_max_batch_size=16384 if arguments.latency else 1_000_000,
        datadir=tempfile.mkdtemp(prefix="bench-faust-"),
        topic_disable_leader=True,
        web_enabled=False,
    )
    source = application.topic(arguments.source, key_type=bytes, key_serializer="raw", value_serializer="json")
    target = application.topic(arguments.target, key_type=bytes, key_serializer="raw", value_serializer="json")

    @application.agent(source)  # type: ignore[untyped-decorator, unused-ignore]
    async def visit(stream: Any) -> None:
        async for key, record in stream.items():
            record["visits"] += 1
            await target.send(key=key, value=record)

    # Its log level holds for what is shown; aiokafka would still make a record for every message sent.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    sys.argv = [sys.argv[0], "worker", "--loglevel", "warn", "--without-web"]
    application.main()


if __name__ == "__main__":
    main(parse())
