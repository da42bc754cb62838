"""How many messages a second a contender forwards."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from tests.bench.links import records
from tests.bench.links.contender import Contender, DiedError
from tests.bench.links.topics import Topics

_POLL_INTERVAL = 0.05  # seconds
_START_TIMEOUT = 60.0
_STALL_TIMEOUT = 15.0

_numbers = itertools.count()


@dataclass(frozen=True)
class Throughput:
    """What one run of a contender gave.

    Attributes:
        rate: Messages per second.
        cpu: Processor seconds of the contender for each 1,000 messages; ``None``: it was done too soon to tell.
        wrong: What is wrong with its outputs, or ``""``.
    """

    rate: float
    cpu: float | None
    wrong: str


def measure(topics: Topics, contender: Contender, source: str, count: int) -> Throughput:
    """Run a contender on a filled topic until it has forwarded all of it.

    Args:
        topics: Of the Kafka to use.
        contender: Which.
        source: A topic that holds ``count`` records.
        count: How many.

    Raises:
        DiedError: It ended, or forwarded nothing.
    """
    name = f"{contender.name}-{next(_numbers)}"
    target = topics.make_target(f"target-{name}")
    try:
        with contender.running(topics.endpoint, source, target, group=f"group-{name}") as running:
            started = time.monotonic()
            first: tuple[int, float] | None = None
            last = (0, 0.0)
            moved = started
            outputs = records.Outputs()
            while True:
                running.check()
                length, used, now = topics.length(target), running.cpu_seconds(), time.monotonic()
                if length > last[0]:
                    first = first or (length, used)
                    last, moved = (length, used), now
                elif length >= count and now - moved > 1.0:
                    # Markers of transactions use offsets, too: only what can be read tells whether all is there.
                    outputs = records.read(topics.endpoint, target)
                    if outputs.count >= count or now - moved > _STALL_TIMEOUT:
                        break
                elif now - moved > (_STALL_TIMEOUT if length else _START_TIMEOUT):
                    outputs = records.read(topics.endpoint, target)
                    break
                time.sleep(_POLL_INTERVAL)
        if first is None or not outputs.count:
            raise DiedError("forwarded nothing")
    finally:
        topics.delete(target)
    watched = last[0] - first[0]
    cpu = (last[1] - first[1]) / watched * 1000 if watched > count / 2 else None
    return Throughput(outputs.rate, cpu, outputs.wrong(count))
