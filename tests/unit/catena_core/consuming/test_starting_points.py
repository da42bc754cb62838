"""Where partitions start: in the right place, in the wrong one, and in a topic that was made again."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from catena_core.consuming import starting_points
from catena_core.consuming.assignment import Assignment
from catena_core.consuming.starting_points import StartingPoints
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.topic_ids import KnownTopicIds


class Consumer:
    """A consumer of one partition whose group has committed an offset; it fails as often as it is told to."""

    def __init__(self) -> None:
        self.offset = 40
        self.metadata = ""
        self.failures = 0
        self.asked = 0
        self.sought: list[int] = []

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked += 1
        self._fail()
        return [TopicPartition(place.topic, place.partition, self.offset, self.metadata) for place in places]

    def seek(self, place: TopicPartition) -> None:
        self._fail()
        self.sought.append(place.offset)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


class Clock:
    """The time as the starting points see it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def ids() -> KnownTopicIds:
    return KnownTopicIds()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(starting_points, "time", clock)
    return clock


class World:
    """One partition, where it starts, and what follows."""

    def __init__(self, consumer: Any, ids: KnownTopicIds, transactional: bool = False) -> None:
        self.starts = StartingPoints(consumer, ids, LinkLogger("Sorter"), transactional, interval=30)
        self.assignment = Assignment(("in", 0), replaying=False)

    def verify(self, offset: int) -> bool:
        return self.starts.verify(self.assignment, offset, [self.assignment])

    def update(self) -> None:
        self.starts.update([self.assignment])

    def read(self, *offsets: int) -> None:
        self.assignment.tracker.dispatched(list(offsets))


@pytest.fixture
def world(consumer: Consumer, ids: KnownTopicIds, clock: Clock) -> World:
    return World(consumer, ids)


@pytest.mark.parametrize("offset", [40, 41, 90])
def test_a_start_at_or_after_what_is_committed_is_right(consumer: Consumer, ids: KnownTopicIds, offset: int) -> None:
    assert World(consumer, ids, transactional=True).verify(offset)
    assert consumer.sought == []


def test_a_start_before_what_a_transaction_committed_is_corrected(consumer: Consumer, ids: KnownTopicIds) -> None:
    world = World(consumer, ids, transactional=True)
    assert not world.verify(0)
    assert consumer.sought == [40]
    assert world.verify(40)
    assert consumer.asked == 1


def test_without_transactions_kafka_is_believed(consumer: Consumer, world: World) -> None:
    assert world.verify(0)
    assert consumer.sought == []


def test_a_start_is_read_again_once_it_is_known(consumer: Consumer, world: World) -> None:
    consumer.failures = 2  # the question, and the seek
    assert not world.verify(7)
    assert consumer.sought == []
    world.update()
    assert consumer.sought == [7]
    assert world.verify(7)


def test_a_topic_that_was_made_again_since_the_last_commit_is_read_from_its_beginning(
    consumer: Consumer, ids: KnownTopicIds, world: World
) -> None:
    consumer.metadata, ids.ids["in"] = "topic-id=old", "new"
    assert not world.verify(40)
    assert consumer.sought == [OFFSET_BEGINNING]
    assert world.verify(0)
    assert world.assignment.topic_id == "new"


@pytest.mark.parametrize("metadata", ["", "of another tool", "topic-id=same"])
def test_an_offset_of_the_same_topic_or_of_none_that_is_known_counts(
    consumer: Consumer, ids: KnownTopicIds, world: World, metadata: str
) -> None:
    consumer.metadata, ids.ids["in"] = metadata, "same"
    assert world.verify(40)
    assert world.assignment.topic_id == "same"
    assert consumer.sought == []


def test_where_brokers_tell_no_ids_that_of_the_commit_stays(consumer: Consumer, world: World) -> None:
    consumer.metadata = "topic-id=old"
    assert world.verify(40)
    assert world.assignment.topic_id == "old"


def test_a_topic_made_again_while_it_is_read_is_found_by_the_next_look(
    consumer: Consumer, ids: KnownTopicIds, world: World, clock: Clock
) -> None:
    ids.ids["in"] = "old"
    assert world.verify(40)
    world.read(40, 41)
    ids.ids["in"] = "new"
    for _ in range(2):  # a question, and its answer
        clock.now += 1.1
        world.update()
    assert consumer.sought == [OFFSET_BEGINNING]
    assert world.assignment.topic_id == "new"


def test_a_silent_topic_is_looked_at_now_and_then(
    consumer: Consumer, ids: KnownTopicIds, world: World, clock: Clock
) -> None:
    ids.ids["in"] = "old"
    assert world.verify(40)
    ids.ids["in"] = "new"
    clock.now += 29
    world.update()
    world.update()
    assert consumer.sought == []
    clock.now += 2
    world.update()
    world.update()
    assert consumer.sought == [OFFSET_BEGINNING]


def test_a_broker_that_still_tells_the_id_of_the_deleted_topic_is_not_heeded(
    consumer: Consumer, ids: KnownTopicIds, world: World
) -> None:
    consumer.metadata, ids.ids["in"] = "topic-id=old", "new"
    assert not world.verify(40)
    ids.ids["in"] = "old"
    assert not world.starts.find_recreated(world.starts.look([world.assignment]))
    assert (world.assignment.topic_id, consumer.sought) == ("new", [OFFSET_BEGINNING])


def test_an_answer_that_was_asked_for_before_the_log_started_again_does_not_count(
    ids: KnownTopicIds, world: World
) -> None:
    ids.ids["in"] = "old"
    assert world.verify(40)
    look = world.starts.look([world.assignment])
    world.assignment.start_again(0)
    assert not world.starts.find_recreated(look)
    assert world.assignment.topic_id == ""


def test_what_was_read_before_a_look_is_known_to_be_of_the_same_topic(ids: KnownTopicIds, world: World) -> None:
    ids.ids["in"] = "same"
    assert world.verify(40)
    world.read(40, 41)
    look = world.starts.look([world.assignment])
    world.read(42)
    assert not world.starts.find_recreated(look)
    assert world.assignment.verified == 42


def test_the_position_of_a_silent_partition_is_looked_up_after_a_while(
    consumer: Consumer, world: World, clock: Clock
) -> None:
    world.starts.assigned()
    world.update()
    assert (world.assignment.position, consumer.asked) == (-1, 0)
    clock.now += 2
    consumer.failures = 1
    world.update()
    clock.now += 11
    world.update()
    world.update()
    assert (world.assignment.position, consumer.asked) == (40, 2)
