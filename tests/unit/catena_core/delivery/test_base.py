"""The contract of delivery, kept by each kind of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.consuming.starting_points import StartingPoints
from catena_core.delivery import producer
from catena_core.delivery.at_least_once import AtLeastOnce, NoCommits
from catena_core.delivery.base import REBALANCE_ERRORS, Delivery
from catena_core.delivery.exactly_once import ExactlyOnce
from catena_core.delivery.producer import MessageProducer
from catena_core.errors import DeliveryError
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.wire.message import Message
from tests.helpers.kafka_clients import ConsumerClient, ProducerClient
from tests.helpers.messages import Message as Received
from tests.helpers.topic_ids import KnownTopicIds

KINDS = ("none", "at_least_once", "exactly_once")
COMMITTING = KINDS[1:]


class Delivered:
    """A delivery on clients of Kafka that do as a test says."""

    def __init__(self, kind: str) -> None:
        self.failed: list[Exception] = []
        logger, metrics = LinkLogger("Sorter"), Metrics()
        self.producer = MessageProducer(
            "broker:1",
            logger,
            {},
            on_refused=lambda reason, message: self.delivery.refused(reason, message),
            on_failure=self.failed.append,
            transactional_id="shop.host" if kind == "exactly_once" else None,
        )
        self.client: ProducerClient = self.producer.client  # type: ignore[assignment]
        self.consumer: Any = ConsumerClient({})
        self.delivery: Delivery
        if kind == "none":
            self.delivery = NoCommits(self.producer, self._replace, self.failed.append)
        elif kind == "at_least_once":
            self.delivery = AtLeastOnce(self.producer, self._replace, self.failed.append, logger, metrics)
        else:
            self.delivery = ExactlyOnce(
                self.producer, self._replace, self.failed.append, logger, metrics, threading.Event()
            )
        starts = StartingPoints(self.consumer, KnownTopicIds(), logger, kind == "exactly_once", 30)
        self.delivery.attach(self.consumer, starts)

    @property
    def commits(self) -> list[dict[tuple[str, int], int]]:
        return [*self.consumer.commits, *(offsets for _, offsets in self.client.committed if offsets)]

    def transform(self, finished: list[int]) -> Assignment:
        """Transform electrons 0 to 4 of a partition, as far as these are finished, into one output each."""
        assignment = Assignment(("in", 0), replaying=False)
        assignment.tracker.dispatched(list(range(5)))
        assignment.committed = 0
        for offset in finished:
            batch = Batch(assignment, [Received(offset=offset)], [offset])
            self.delivery.sink(batch).send(Message("out", str(offset).encode()))
            assignment.outputs += batch.outputs
            assignment.tracker.finished([offset])
        return assignment

    def commit(self, *assignments: Assignment) -> bool:
        return self.delivery.flush_and_commit(assignments, time.monotonic() + 120)

    def _replace(self, message: Message, reason: str) -> Message:
        if message.topic == "letters":
            raise DeliveryError("the dead letters are full")
        return Message("letters", b"letter")


@pytest.fixture
def delivered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivered]:
    monkeypatch.setattr(producer, "Producer", ProducerClient)
    delivered = Delivered(request.param)
    yield delivered
    delivered.producer.close(1)


def of(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("delivered", kinds, indirect=True)


@of(*COMMITTING)
@pytest.mark.parametrize(("finished", "offset"), [([0, 1, 3], 2), ([1, 0], 2), ([0, 1, 2, 3, 4], 5)])
def test_the_longest_finished_run_of_a_partition_is_committed(
    delivered: Delivered, finished: list[int], offset: int
) -> None:
    assignment = delivered.transform(finished)
    assert delivered.commit(assignment)
    assert delivered.commits == [{("in", 0): offset}]
    assert assignment.committed == offset


@of(*COMMITTING)
def test_offsets_are_committed_once(delivered: Delivered) -> None:
    assignment = delivered.transform([0])
    assert delivered.commit(assignment) and delivered.commit(assignment)
    assert delivered.commits == [{("in", 0): 1}]


@of(*KINDS)
def test_nothing_is_committed_that_is_not_finished(delivered: Delivered) -> None:
    assert delivered.commit(delivered.transform([1, 2]))
    assert delivered.commits == []


@of("none")
def test_a_link_that_replays_commits_nothing(delivered: Delivered) -> None:
    assert delivered.commit(delivered.transform([0, 1, 2, 3, 4]))
    assert delivered.commits == []


@of("at_least_once")
def test_offsets_wait_for_the_outputs_of_their_electrons(delivered: Delivered) -> None:
    delivered.client.acknowledges = False
    assert not delivered.delivery.flush_and_commit([delivered.transform([0])], time.monotonic())
    assert delivered.commits == []
    delivered.client.acknowledges = True
    assert delivered.commit(delivered.transform([0]))
    assert delivered.client.taken == [b"0", b"0"]


@of(*KINDS)
def test_a_call_is_made_once_all_outputs_before_it_have_arrived(delivered: Delivered) -> None:
    arrived = threading.Event()
    seen: list[Any] = []

    def then(error: Exception | None) -> None:
        seen.append((error, list(delivered.client.taken)))
        arrived.set()

    sink = delivered.delivery.sink(None)
    sink.send_plain("out", b"1", b"key")
    sink.then(then)
    delivered.commit()
    assert arrived.wait(120)
    assert seen == [(None, [b"1"])]


@of(*KINDS)
def test_an_output_that_kafka_never_takes_is_replaced_by_its_dead_letter(delivered: Delivered) -> None:
    delivered.client.refused = {b"0": KafkaError.INVALID_RECORD}
    assert delivered.commit(delivered.transform([0]))
    arrival = delivered.producer.arrival()
    assert arrival.done.wait(120)
    assert delivered.client.taken == [b"letter"] and not delivered.failed


@of(*KINDS)
def test_dead_letters_that_kafka_never_takes_are_the_end(delivered: Delivered) -> None:
    delivered.client.refused = {b"0": KafkaError.INVALID_RECORD, b"letter": KafkaError.INVALID_RECORD}
    delivered.commit(delivered.transform([0]))
    delivered.producer.arrival().done.wait(120)
    assert [str(error) for error in delivered.failed[:1]] == ["the dead letters are full"]


@of(*KINDS)
def test_a_dead_letter_that_the_client_never_takes_is_replaced_in_its_turn(delivered: Delivered) -> None:
    """With its reason it is larger than the message was."""
    delivered.client.refused = {b"0": KafkaError.INVALID_RECORD}
    delivered.client.rejected = {b"letter": KafkaError.MSG_SIZE_TOO_LARGE}
    delivered.commit(delivered.transform([0]))
    delivered.producer.arrival().done.wait(120)
    assert [str(error) for error in delivered.failed[:1]] == ["the dead letters are full"]


@of("at_least_once")
@pytest.mark.parametrize("code", [*sorted(REBALANCE_ERRORS), KafkaError.OFFSET_METADATA_TOO_LARGE])
def test_a_failed_commit_is_made_up_for_and_no_warning_in_a_rebalance(
    delivered: Delivered, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    assignment = delivered.transform([0])
    assert delivered.commit(assignment)
    delivered.delivery.commit_failed(KafkaError(code), [assignment])
    assert bool(caplog.records) == (code not in REBALANCE_ERRORS)
    assert delivered.commit(assignment) and delivered.commits == [{("in", 0): 1}, {("in", 0): 1}]
