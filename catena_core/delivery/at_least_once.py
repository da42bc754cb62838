"""At least once: outputs are sent at once, and offsets are committed after all earlier outputs have arrived.

Beside it the delivery of links that commit no offsets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.consuming.starting_points import StartingPoints
from catena_core.delivery.base import REBALANCE_ERRORS, Sink
from catena_core.delivery.producer import MessageProducer
from catena_core.errors import CodecError, DeliveryError
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.wire.message import Message

# Seconds for which the last commit of a partition is tried again. A coordinator takes none between the moment when all have
# joined and the one when the leader has shared out the partitions; nor one of a generation that is over, while the client has
# not heard of the next.
_REBALANCE_TIMEOUT = 0.5
_SOON_OVER = frozenset({KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION})


class NoCommits:
    """Sends outputs at once and commits no offsets, for links that rebuild their state from their topics.

    Args:
        producer: The link's producer.
        replace: Makes the dead letter of a message that Kafka refuses, given the reason.
        fail: Called with an error that no retry can mend.
    """

    transactional = False

    def __init__(
        self,
        producer: MessageProducer,
        replace: Callable[[Message, str], Message],
        fail: Callable[[Exception], None],
    ) -> None:
        self._producer = producer
        self._replace = replace
        self._fail = fail
        self.send = producer.send
        self.send_plain = producer.send_plain

    @property
    def silent_for(self) -> float:
        return self._producer.silent_for

    def attach(self, consumer: Consumer, starts: StartingPoints) -> None:
        pass

    def sink(self, batch: Batch | None) -> Sink:
        return self

    def then(self, call: Callable[[Exception | None], None]) -> None:
        self._producer.arrival(call)

    def maybe_commit(self, assignments: Collection[Assignment]) -> None:
        pass

    def flush_and_commit(self, assignments: Collection[Assignment], deadline: float) -> bool:
        return True

    def close(self) -> None:
        pass  # the producer refuses what comes after its own end

    def abandon(self) -> None:
        pass  # its client waits for no transaction when it closes

    def commit_failed(self, error: KafkaError, assignments: Collection[Assignment]) -> None:
        pass

    def refused(self, reason: str, message: Message) -> None:
        try:
            while True:
                message = self._replace(message, reason)
                try:
                    return self._producer.send_now(message)
                except CodecError as error:  # with its reason the letter is larger than the message was
                    reason = str(error)
        except DeliveryError as error:
            self._fail(error)


class AtLeastOnce(NoCommits):
    """Sends outputs at once. Every interval, it commits finished electrons after all earlier outputs have arrived.

    Args:
        producer: The link's producer.
        replace: Makes the dead letter of a message that Kafka refuses, given the reason.
        fail: Called with an error that no retry can mend.
        logger: The log of failed commits.
        metrics: Counts commits.
        interval: Seconds between commits; 0: after each electron, waiting for it.
    """

    def __init__(
        self,
        producer: MessageProducer,
        replace: Callable[[Message, str], Message],
        fail: Callable[[Exception], None],
        logger: LinkLogger,
        metrics: Metrics,
        interval: float = 1.0,
    ) -> None:
        super().__init__(producer, replace, fail)
        self._logger = logger
        self._metrics = metrics
        self._interval = interval
        self._due = time.monotonic() + interval
        self._arrival: Any = None
        self._wanted: _Wanted = {}

    def attach(self, consumer: Consumer, starts: StartingPoints) -> None:
        self._consumer = consumer

    def maybe_commit(self, assignments: Collection[Assignment]) -> None:
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

    def flush_and_commit(self, assignments: Collection[Assignment], deadline: float) -> bool:
        wanted = _to_commit(assignments)
        if not wanted:
            return True
        arrival = self._producer.arrival()
        if not arrival.done.wait(max(0.0, deadline - time.monotonic())) or arrival.error is not None:
            return False
        deadline = min(deadline, time.monotonic() + _REBALANCE_TIMEOUT)
        while not (done := self._commit(wanted, asynchronous=False)) and time.monotonic() < deadline:
            time.sleep(_REBALANCE_TIMEOUT / 10)
        return done

    def commit_failed(self, error: KafkaError, assignments: Collection[Assignment]) -> None:
        """Have the offsets committed with the next ones; or else the electrons are delivered again."""
        for assignment in assignments:
            assignment.committed = -1
        self._metrics.commit_failed()
        known = error.code() in REBALANCE_ERRORS
        self._logger.log(f"commit put off: {error.str()}", level="debug" if known else "warning")

    def _commit(self, wanted: _Wanted, asynchronous: bool) -> bool:
        """Commit, unless the group is about to give its members their partitions; return whether that is over."""
        present = {
            assignment: offset
            for assignment, (start, offset) in wanted.items()
            if start == assignment.starts and not (assignment.revoked and asynchronous)
        }
        if not present:
            return True
        offsets = [assignment.place(offset) for assignment, offset in present.items()]
        for assignment, offset in present.items():
            assignment.committed = offset
        try:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as error:
            self.commit_failed(error.args[0], present)
            return error.args[0].code() not in _SOON_OVER
        self._metrics.committed()
        return True


# The offsets to commit, each with the start of the partition's log that it belongs to.
_Wanted = dict[Assignment, tuple[int, int]]


def _to_commit(assignments: Collection[Assignment]) -> _Wanted:
    offsets = {assignment: assignment.tracker.next_offset for assignment in assignments}
    return {
        assignment: (assignment.starts, offset)
        for assignment, offset in offsets.items()
        if offset > assignment.committed
    }
