"""Positions and lag of partitions, and a start in the wrong place."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from catena_core.consuming import lag
from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lag import LagMeter
from catena_core.monitoring.logs import LinkLogger


class Consumer:
    """A consumer of one partition whose group has committed an offset; it fails as often as it is told to."""

    def __init__(self) -> None:
        self.offset = 40
        self.bounds = (0, 100)
        self.failures = 0
        self.asked = 0
        self.sought: list[int] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked += 1
        self._fail()
        return [TopicPartition(place.topic, place.partition, self.offset) for place in places]

    def seek(self, place: TopicPartition) -> None:
        self._fail()
        self.sought.append(place.offset)

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, int]:
        return self.bounds

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def assignment() -> Assignment:
    return Assignment(("in", 0), replaying=False)


def meter(consumer: Any, transactional: bool = True) -> LagMeter:
    return LagMeter(consumer, LinkLogger("Sorter"), transactional)


@pytest.mark.parametrize("offset", [40, 41, 90])
def test_a_start_at_or_after_what_is_committed_is_right(
    consumer: Consumer, assignment: Assignment, offset: int
) -> None:
    assert meter(consumer).verify_start(assignment, offset)
    assert consumer.sought == []


def test_a_start_before_what_is_committed_is_corrected(consumer: Consumer, assignment: Assignment) -> None:
    assert not meter(consumer).verify_start(assignment, 0)
    assert consumer.sought == [40]
    assert meter(consumer).verify_start(assignment, 40)


def test_without_transactions_kafka_is_believed(consumer: Consumer, assignment: Assignment) -> None:
    assert meter(consumer, transactional=False).verify_start(assignment, 0)
    assert consumer.asked == 0


def test_a_seek_that_fails_is_made_up_for(consumer: Consumer, assignment: Assignment) -> None:
    measuring = meter(consumer)
    consumer.failures = 2  # the question, and the seek
    assert not measuring.verify_start(assignment, 7)
    assert consumer.sought == []
    measuring.measure([assignment])
    assert consumer.sought == [7]


def test_lag_counts_from_what_is_finished(consumer: Consumer, assignment: Assignment) -> None:
    assignment.tracker.dispatched([40, 41, 42])
    assignment.tracker.finished([40])
    meter(consumer).measure([assignment])
    assert (assignment.position, assignment.lag) == (41, 59)


def test_electrons_that_the_topic_has_dropped_are_no_lag(consumer: Consumer, assignment: Assignment) -> None:
    consumer.bounds = (95, 100)
    assignment.position = 41
    meter(consumer).measure([assignment])
    assert assignment.lag == 5


def test_the_position_of_a_silent_partition_is_looked_up_after_a_while(
    consumer: Consumer, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(lag.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
    measuring = meter(consumer)
    measuring.assigned()
    measuring.measure([assignment])
    assert (assignment.lag, consumer.asked) == (-1, 0)
    now[0] += 2
    consumer.failures = 1
    measuring.measure([assignment])
    now[0] += 11
    measuring.measure([assignment])
    measuring.measure([assignment])
    assert (assignment.position, assignment.lag, consumer.asked) == (40, 60, 2)
