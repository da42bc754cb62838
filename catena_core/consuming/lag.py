"""Where partitions stand: where they begin, and how far they are."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.watchdog import Watchdog

# Seconds after an assignment when partitions are looked up of which nothing has come by then.
_LOOK_UP_AFTER = 1.0


class Positions:
    """Looks after the positions of a consumer's partitions; only the thread that owns the consumer calls it.

    Args:
        consumer: The consumer.
        logger: Where it is told that a partition began in the wrong place.
        watchdog: Told how far each partition is.
        transactional: Whether the group's offsets are committed in transactions.
    """

    def __init__(self, consumer: Consumer, logger: LinkLogger, watchdog: Watchdog, transactional: bool) -> None:
        self._consumer = consumer
        self._logger = logger
        self._watchdog = watchdog
        self._transactional = transactional
        self._look_up_at = math.inf

    def assigned(self) -> None:
        """Partitions were assigned: those of which nothing comes are looked up in a while."""
        self._look_up_at = time.monotonic() + _LOOK_UP_AFTER

    def begins_rightly(self, assignment: Assignment, offset: int) -> bool:
        """Whether the first offset since an assignment is not before the committed one; if it is, the consumer is sent there.

        Where offsets are in a transaction of a member that died, and the assignment grows while librdkafka waits for its end,
        it begins at ``auto.offset.reset`` instead of where the group stands, and all would be done again.
        """
        if not self._transactional:
            return True
        if assignment.seek_to < 0:
            try:
                (committed,) = self._consumer.committed([TopicPartition(*assignment.partition)], timeout=2)
                if committed.error is not None:
                    raise KafkaException(committed.error)
                if committed.offset <= offset:
                    return True
                assignment.seek_to = committed.offset
                self._logger.log(
                    f"{assignment.partition[0]}[{assignment.partition[1]}] begins at {offset}, though all before "
                    f"{committed.offset} is committed; going on from there",
                    level="warning",
                )
            except KafkaException as error:
                topic, number = assignment.partition
                self._logger.log(f"where {topic}[{number}] begins is not known yet: {error.args[0].str()}")
                assignment.seek_to = offset
        self._seek(assignment)
        return False

    def _seek(self, assignment: Assignment) -> None:
        """Send the consumer to where a partition is to be read; where that fails, again later. Nothing of it counts before."""
        with suppress(KafkaException):
            self._consumer.seek(TopicPartition(*assignment.partition, assignment.seek_to))
            assignment.seek_to = -1

    def measure(self, assignments: Collection[Assignment]) -> None:
        """Take down how far partitions are; whoever looks at the metrics must not ask the client, which is the loop's own."""
        for assignment in assignments:
            if assignment.seek_to >= 0:
                self._seek(assignment)
            self._measure(assignment)
            self._watchdog.note(assignment.partition, assignment.position, assignment.waiting > 0)
        if time.monotonic() > self._look_up_at:
            self._look_up(assignments)

    def _measure(self, assignment: Assignment) -> None:
        if assignment.tracker.next_offset >= 0:
            assignment.position = assignment.tracker.next_offset
        if assignment.position >= 0:
            with suppress(KafkaException):
                low, high = self._consumer.get_watermark_offsets(TopicPartition(*assignment.partition), cached=True)
                if high >= 0:
                    assignment.lag = max(0, high - max(assignment.position, low))

    def _look_up(self, assignments: Collection[Assignment]) -> None:
        """Ask where partitions stand of which nothing has come since they were assigned, so that their lag is known."""
        self._look_up_at = math.inf
        idle = [assignment for assignment in assignments if assignment.position < 0]
        if not idle:
            return
        try:
            places = self._consumer.committed([TopicPartition(*assignment.partition) for assignment in idle], timeout=1)
        except KafkaException:
            self._look_up_at = time.monotonic() + 10 * _LOOK_UP_AFTER
            return
        for assignment, place in zip(idle, places, strict=True):
            assignment.position = max(place.offset, 0)  # below 0: nothing is committed
