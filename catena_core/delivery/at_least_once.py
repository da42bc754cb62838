"""What a link promises: when an electron's outputs count as sent, and when its offset is committed.

Both kinds of delivery commit the same thing, the longest finished run of each partition, and nothing that is not finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment, Batch
from catena_core.delivery.producer import MessageProducer
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.wire.message import Message

# A commit that meets a rebalance: the partitions are another member's now, which reads the electrons again.
REBALANCE_ERRORS = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._NO_OFFSET,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)

# How long a commit that cannot be put off is tried again, in seconds: a coordinator takes none between the moment when all have
# joined and the one when it has heard from the leader who gets what; nor one of a generation that is over, while the client has
# not heard of the next.
_REBALANCE_PATIENCE = 0.5
_SOON_OVER = frozenset({KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION})


class Sink(Protocol):
    """Where the outputs of electrons go."""

    def send(self, message: Message) -> None:
        """Send one message."""

    def send_plainly(self, topic: str, value: bytes, key: bytes) -> None:
        """Send a message of a value and a key."""

    def then(self, call: Callable[[Exception | None], None]) -> None:
        """Make a call, which must not block, once all that was sent before has arrived, with the first failure or ``None``."""


class Delivery(Protocol):
    """How outputs and offsets are brought to Kafka."""

    def attach(self, consumer: Consumer) -> None:
        """Name the consumer whose offsets are committed."""

    def sink(self, batch: Batch | None) -> Sink:
        """Where the outputs of a batch go; ``None``: those that belong to none, such as the generator's."""

    def advance(self, assignments: Collection[Assignment]) -> None:
        """Commit what is finished, if it is time; called in every round of the consumer's thread."""

    def settle(self, assignments: Collection[Assignment], deadline: float) -> None:
        """Commit all that is finished now, because these partitions leave; gives up at the deadline (monotonic clock)."""


class AtLeastOnce:
    """Outputs are sent at once. Every interval, what is finished is committed after all that was sent before has arrived.

    Args:
        producer: The link's producer.
        logger: Where a commit that fails is told.
        metrics: Where commits are counted.
        interval: Seconds between commits; 0: after each electron, waiting for it.
    """

    def __init__(self, producer: MessageProducer, logger: LinkLogger, metrics: Metrics, interval: float = 1.0) -> None:
        self._producer = producer
        self.send = producer.send
        self.send_plainly = producer.send_plainly
        self._logger = logger
        self._metrics = metrics
        self._interval = interval
        self._due = time.monotonic() + interval
        self._arrival: Any = None
        self._wanted: dict[Assignment, int] = {}

    def attach(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def sink(self, batch: Batch | None) -> Sink:
        return self

    def then(self, call: Callable[[Exception | None], None]) -> None:
        self._producer.arrival(call)

    def advance(self, assignments: Collection[Assignment]) -> None:
        if self._arrival is None:
            if time.monotonic() < self._due:
                return
            self._wanted = _to_commit(assignments)
            if self._wanted:
                self._arrival = self._producer.arrival()
            else:
                self._due = time.monotonic() + self._interval
        if self._arrival is not None and self._arrival.done.wait(0 if self._interval else 1.0):
            if self._arrival.error is None:
                self._commit(self._wanted, asynchronous=self._interval > 0)
            self._arrival = None
            self._due = time.monotonic() + self._interval

    def settle(self, assignments: Collection[Assignment], deadline: float) -> None:
        wanted = _to_commit(assignments)
        if not wanted:
            return
        arrival = self._producer.arrival()
        if not arrival.done.wait(max(0.0, deadline - time.monotonic())) or arrival.error is not None:
            return
        deadline = min(deadline, time.monotonic() + _REBALANCE_PATIENCE)
        while not self._commit(wanted, asynchronous=False) and time.monotonic() < deadline:
            time.sleep(_REBALANCE_PATIENCE / 10)

    def _commit(self, wanted: dict[Assignment, int], asynchronous: bool) -> bool:
        """Commit; whether that is done with, which it is not while the group is about to give its members their partitions."""
        present = {
            assignment: offset for assignment, offset in wanted.items() if not assignment.revoked or not asynchronous
        }
        if not present:
            return True
        offsets = [TopicPartition(*assignment.partition, offset) for assignment, offset in present.items()]
        for assignment, offset in present.items():
            assignment.committed = offset
        try:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as error:
            self.failed(error.args[0], present)
            return error.args[0].code() not in _SOON_OVER
        self._metrics.committed()
        return True

    def failed(self, error: KafkaError, assignments: Collection[Assignment]) -> None:
        """Take note that a commit failed: it is tried again with the next, or the electrons are delivered again."""
        for assignment in assignments:
            assignment.committed = -1
        self._metrics.commit_failed()
        known = error.code() in REBALANCE_ERRORS
        self._logger.log(f"commit put off: {error.str()}", level="debug" if known else "warning")


class ReadOnly:
    """For links whose state is what their topics say: outputs are sent at once, and nothing is committed.

    Args:
        producer: The link's producer.
    """

    def __init__(self, producer: MessageProducer) -> None:
        self._producer = producer
        self.send = producer.send
        self.send_plainly = producer.send_plainly

    def attach(self, consumer: Consumer) -> None:
        pass

    def sink(self, batch: Batch | None) -> Sink:
        return self

    def then(self, call: Callable[[Exception | None], None]) -> None:
        self._producer.arrival(call)

    def advance(self, assignments: Collection[Assignment]) -> None:
        pass

    def settle(self, assignments: Collection[Assignment], deadline: float) -> None:
        pass


def _to_commit(assignments: Collection[Assignment]) -> dict[Assignment, int]:
    offsets = {assignment: assignment.tracker.next_offset for assignment in assignments}
    return {assignment: offset for assignment, offset in offsets.items() if offset > assignment.committed}
