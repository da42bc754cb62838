"""The positions of partitions: where reading starts, and how far it lags behind."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment
from catena_core.monitoring.logs import LinkLogger

# Seconds after an assignment when the positions of silent partitions are looked up.
_LOOK_UP_AFTER = 1.0


class LagMeter:
    """Measures the positions and the lag of a consumer's partitions. Only the thread that owns the consumer calls it.

    Args:
        consumer: The consumer.
        logger: The log of partitions that start in the wrong place.
        transactional: Whether transactions commit the group's offsets.
    """

    def __init__(self, consumer: Consumer, logger: LinkLogger, transactional: bool) -> None:
        self._consumer = consumer
        self._logger = logger
        self._transactional = transactional
        self._look_up_at = math.inf

    def assigned(self) -> None:
        """Look up the positions of new partitions in a while, if they stay silent."""
        self._look_up_at = time.monotonic() + _LOOK_UP_AFTER

    def verify_start(self, assignment: Assignment, offset: int) -> bool:
        """Send the consumer to the committed offset if a partition starts before it.

        A member that dies may leave offsets in an open transaction. If the assignment grows while librdkafka waits for that
        transaction to end, reading starts at ``auto.offset.reset``, and every electron would be transformed again.

        Args:
            assignment: The partition.
            offset: The first offset that was read since its assignment.

        Returns:
            Whether it starts in the right place; if not, its electrons do not count yet.
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
        """Send the consumer to the start of a partition; :meth:`measure` tries again if that fails."""
        with suppress(KafkaException):
            self._consumer.seek(TopicPartition(*assignment.partition, assignment.seek_to))
            assignment.seek_to = -1

    def measure(self, assignments: Collection[Assignment]) -> None:
        """Record positions and lags: an exporter of metrics must not ask the client, which belongs to the loop."""
        for assignment in assignments:
            if assignment.seek_to >= 0:
                self._seek(assignment)
            self._measure(assignment)
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
        """Ask for the committed offsets of partitions that have been silent since their assignment, to know their lag."""
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
