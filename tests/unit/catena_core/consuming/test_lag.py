"""Positions and lag of partitions."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lag import measure_lag


class Consumer:
    """A consumer that remembers the bounds of its partition, if it has read it."""

    def __init__(self, *bounds: int) -> None:
        self.bounds = bounds

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, ...]:
        if not self.bounds:
            raise KafkaException(KafkaError(KafkaError._STATE))
        return self.bounds


@pytest.fixture
def assignment() -> Assignment:
    return Assignment(("in", 0), replaying=False)


def measured(assignment: Assignment, consumer: Any) -> tuple[int, int]:
    measure_lag(consumer, [assignment])
    return assignment.position, assignment.lag


def test_lag_counts_from_what_is_finished(assignment: Assignment) -> None:
    assignment.tracker.dispatched([40, 41, 42])
    assignment.tracker.finished([40])
    assert measured(assignment, Consumer(0, 100)) == (41, 59)


def test_electrons_that_the_topic_has_dropped_are_no_lag(assignment: Assignment) -> None:
    assignment.position = 41
    assert measured(assignment, Consumer(95, 100)) == (41, 5)


def test_the_lag_of_a_partition_whose_position_or_end_is_not_known_is_not_known(assignment: Assignment) -> None:
    assert measured(assignment, Consumer(0, 100)) == (-1, -1)
    assignment.position = 41
    assert measured(assignment, Consumer()) == (41, -1)
