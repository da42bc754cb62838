"""Backpressure: pause a partition when too much of it waits, and resume it later."""

from __future__ import annotations

import time
from collections.abc import Collection

from confluent_kafka import Consumer, TopicPartition

from catena_core.consuming.assignment import Assignment

# The number of batches of a partition above which it is paused, and below which it is resumed. A pause drops the
# messages that Kafka's client has fetched ahead, so the two lie well apart. A batch counts as no smaller than the least unit.
PAUSE_ABOVE, RESUME_BELOW = 8, 2
_LEAST_UNIT = 50

# The same in bytes, those of outputs that wait for their transaction included; and what all partitions may have together.
PAUSE_ABOVE_BYTES, RESUME_BELOW_BYTES = 64 * 1024 * 1024, 16 * 1024 * 1024
_ALL_BYTES = 256 * 1024 * 1024

# The same in electrons from the first unfinished one to the newest: those beyond a stuck one cannot be committed, and are
# repeated after a crash.
PAUSE_ABOVE_SPAN, RESUME_BELOW_SPAN = 100_000, 50_000

# Seconds for which the loop reads nothing while lanes are behind, before it pauses partitions.
_BACK_OFF = 1.0


class Backpressure:
    """Pauses and resumes partitions by the amount of each that waits; no other part of a link does.

    Args:
        consumer: The consumer.
        batch_size: The most electrons of one batch.

    Attributes:
        partitions: The number of assigned partitions, which share the bytes that may wait.
    """

    def __init__(self, consumer: Consumer, batch_size: int) -> None:
        self._consumer = consumer
        self._unit = max(batch_size, _LEAST_UNIT)
        self._over_limit_since: float | None = None
        self.partitions = 1

    @property
    def most_waiting(self) -> int:
        """The most electrons of a partition that may wait."""
        return PAUSE_ABOVE * self._unit

    def apply(self, assignment: Assignment) -> None:
        """Pause a partition that is over the limit, or resume one that is well below it."""
        if not assignment.paused:
            if self.is_over_limit(assignment):
                self._consumer.pause([TopicPartition(*assignment.partition)])
                assignment.paused = True
        elif (
            assignment.waiting < RESUME_BELOW * self._unit
            and assignment.bytes_waiting + assignment.output_bytes < self._part_of(RESUME_BELOW_BYTES)
            and assignment.tracker.span < RESUME_BELOW_SPAN
        ):
            self._consumer.resume([TopicPartition(*assignment.partition)])
            assignment.paused = False

    def holds_back(self, assignments: Collection[Assignment]) -> bool:
        """Decide whether to wait for the lanes instead of reading on; pause partitions that stay over the limit.

        A pause makes Kafka's client throw away the messages that it has fetched ahead. So while lanes are a little behind, the
        loop reads nothing for a moment; only a partition that stays over the limit is paused, and the others go on.
        """
        over_limit = [assignment for assignment in assignments if self.is_over_limit(assignment)]
        if not over_limit:
            self._over_limit_since = None
            return False
        now = time.monotonic()
        self._over_limit_since = self._over_limit_since or now
        if now - self._over_limit_since < _BACK_OFF:
            return True
        for assignment in over_limit:
            self.apply(assignment)
        return False

    def is_over_limit(self, assignment: Assignment) -> bool:
        """Tell whether too much of a partition waits, and it is not paused yet."""
        if assignment.paused:
            return False
        return (
            assignment.waiting > PAUSE_ABOVE * self._unit
            or assignment.bytes_waiting + assignment.output_bytes > self._part_of(PAUSE_ABOVE_BYTES)
            or assignment.tracker.span > PAUSE_ABOVE_SPAN
        )

    def _part_of(self, limit: int) -> float:
        """Give the part of a limit that one of so many partitions has."""
        return limit * min(1.0, _ALL_BYTES / (PAUSE_ABOVE_BYTES * max(1, self.partitions)))

    def release(self, assignments: list[Assignment]) -> None:
        """Resume partitions that leave: Kafka's client remembers a pause, and one that came back would stay silent."""
        paused = [TopicPartition(*assignment.partition) for assignment in assignments if assignment.paused]
        if paused:
            self._consumer.resume(paused)
