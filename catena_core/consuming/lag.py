"""The positions of partitions, and how far each lags behind its end."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment


def measure_lag(consumer: Consumer, assignments: Iterable[Assignment]) -> None:
    """Record positions and lags: an exporter of metrics must not ask the client, which belongs to the loop.

    Args:
        consumer: The consumer, which remembers the end of each partition that it reads.
        assignments: Its partitions.
    """
    for assignment in assignments:
        if assignment.tracker.next_offset >= 0:
            assignment.position = assignment.tracker.next_offset
        if assignment.position >= 0:
            with suppress(KafkaException):
                low, high = consumer.get_watermark_offsets(TopicPartition(*assignment.partition), cached=True)
                if high >= 0:
                    assignment.lag = max(0, high - max(assignment.position, low))
