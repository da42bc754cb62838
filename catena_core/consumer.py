"""The consumer loop: one thread owns the consumer, and never waits for a link's own code.

It polls, hands the electrons to lanes, and commits what is finished. A partition with too many electrons in its lanes is
paused, while the others are polled on, so that Kafka never takes the link for dead and one slow key, topic or node does not
stop the rest.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from catena_core.client import client_properties
from catena_core.lanes import Lane
from catena_core.logs import LinkLogger
from catena_core.offsets import OffsetTracker

Partition = tuple[str, int]

COMMIT_INTERVAL = 1.0

# In batches, how many of a partition may be in lanes before it is paused, and how few before it is resumed. A pause throws
# away what was fetched ahead, so the two lie well apart.
PAUSE_ABOVE, RESUME_BELOW = 8, 2

# A commit that meets a rebalance: the partitions are another member's now, which reads the electrons again.
_REBALANCE_ERRORS = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._NO_OFFSET,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)


class Assignment:
    """A partition for as long as this instance has it."""

    __slots__ = ("in_lanes", "partition", "paused", "replaying", "revoked", "tracker")

    def __init__(self, partition: Partition, replaying: bool) -> None:
        self.partition = partition
        self.replaying = replaying
        self.revoked = False
        self.paused = False
        self.tracker = OffsetTracker()
        self.in_lanes = 0


class Batch:
    """Messages of one partition, handed to one lane in one go."""

    __slots__ = ("assignment", "completed", "messages")

    def __init__(self, assignment: Assignment, messages: list[Any]) -> None:
        self.assignment = assignment
        self.messages = messages
        self.completed = False  # whether every message's effects are acknowledged


class Handler(Protocol):
    """What the loop calls; the runtime of a link."""

    def process(self, batch: Batch, finished: Callable[[Batch], None]) -> None:
        """Transform a batch, in a lane; call ``finished`` once its outputs are acknowledged, or it was given up."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """These partitions are this instance's from now on."""

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """These partitions are another instance's from now on; none of their electrons is being transformed."""

    def replayed(self, partition: Partition) -> None:
        """A replayed partition has been handed out up to its end, for the first time since it was assigned."""


class ConsumerLoop:
    """Reads topics as a member of a consumer group and hands electrons to lanes.

    Args:
        endpoint: Kafka's ``host:port``.
        group: The consumer group.
        topics: Called for the topics to read; asked again in every round, so they may change while running.
        handler: What is to happen with electrons and partitions.
        lanes: How many lanes electrons are spread over by key, or ``"partition"`` for one lane for each partition.
        replay: Read each partition from its first offset whenever it is assigned, and commit nothing: for links whose
            state is what the topics say. Partitions are then assigned by range, so that topics with equally many partitions
            are shared out alike.
        batch_size: The most electrons taken in one round.
        drain_timeout: Seconds for which electrons in lanes may go on when their partition is revoked, or the link stops.
        properties: Further librdkafka properties.
        logger: Where trouble is told.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        group: str,
        topics: Callable[[], Sequence[str]],
        handler: Handler,
        lanes: int | str,
        replay: bool,
        batch_size: int,
        drain_timeout: float,
        properties: dict[str, str],
        logger: LinkLogger,
    ) -> None:
        self._topics = topics
        self._subscribed: tuple[str, ...] = ()
        self._handler = handler
        self._replay = replay
        self._batch_size = batch_size
        self._drain_timeout = drain_timeout
        self._logger = logger
        self._keyed_lanes = [] if lanes == "partition" else [Lane(f"lane {n}") for n in range(int(lanes))]
        self._partition_lanes: dict[Partition, Lane] = {}
        self._assignments: dict[Partition, Assignment] = {}
        self._paused = 0
        self._finished: deque[Batch] = deque()
        self._last_commit = time.monotonic()
        self._consumer = Consumer(
            {
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,
                "queued.max.messages.kbytes": 16 * 1024,
                "topic.metadata.refresh.interval.ms": 30_000,
                **client_properties(endpoint, logger, properties),
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": replay,
                "partition.assignment.strategy": "range" if replay else "cooperative-sticky",
            }
        )

    @property
    def first_lane(self) -> Lane:
        """The lane in which a link with a single one runs everything."""
        return self._keyed_lanes[0]

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then finish what is in the lanes, commit it and leave the group.

        Raises:
            KafkaException: The broker refused for good.
        """
        try:
            while not stop.is_set():
                self._round()
        finally:
            self._leave()

    def _round(self) -> None:
        self._subscribe()
        self._take_finished()
        if time.monotonic() - self._last_commit >= COMMIT_INTERVAL:
            self._commit(self._assignments.values(), asynchronous=True)
        if not self._subscribed:
            time.sleep(0.05)
            return
        first = self._consumer.poll(0.02 if self._paused else 0.1)
        if first is None:
            return
        # `consume(n, t)` would wait out t when fewer than n messages are there.
        messages = [first, *self._consumer.consume(self._batch_size - 1, 0)] if self._batch_size > 1 else [first]
        by_partition: dict[Partition, list[Any]] = {}
        for message in messages:
            if message.error() is None:
                by_partition.setdefault((message.topic(), message.partition()), []).append(message)
            else:
                # What came before the end of a partition must be dispatched before the end is told.
                self._dispatch_all(by_partition)
                by_partition = {}
                self._take_error(message)
        self._dispatch_all(by_partition)

    def _subscribe(self) -> None:
        wanted = tuple(self._topics())
        if wanted != self._subscribed:
            self._subscribed = wanted
            if wanted:
                self._consumer.subscribe(
                    list(wanted), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
            else:
                self._consumer.unsubscribe()

    def _take_error(self, message: Any) -> None:
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            assignment = self._assignments.get((message.topic(), message.partition()))
            if assignment is not None and assignment.replaying:
                assignment.replaying = False
                self._handler.replayed(assignment.partition)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self._logger.log(f"reading {message.topic() or 'from Kafka'}: {error.str()}", level="warning")

    # Handing out

    def _dispatch_all(self, by_partition: dict[Partition, list[Any]]) -> None:
        for partition, messages in by_partition.items():
            assignment = self._assignments.get(partition)
            if assignment is not None:
                self._dispatch(assignment, messages)

    def _dispatch(self, assignment: Assignment, messages: list[Any]) -> None:
        """Give messages of one partition to their lanes, and pause the partition if there are too many of it."""
        by_lane: dict[Lane, list[Any]] = {}
        own = self._partition_lanes.get(assignment.partition)
        if own is not None:
            by_lane[own] = messages
        elif len(self._keyed_lanes) == 1:
            by_lane[self._keyed_lanes[0]] = messages
        else:
            for message in messages:
                key = message.key()
                number = message.offset() if key is None else hash(key)
                by_lane.setdefault(self._keyed_lanes[number % len(self._keyed_lanes)], []).append(message)
        if not self._replay:
            for message in messages:
                assignment.tracker.dispatched(message.offset())
        for lane, part in by_lane.items():
            assignment.in_lanes += len(part)
            lane.put(self._handler.process, Batch(assignment, part), self._finished.append)
        if assignment.in_lanes > PAUSE_ABOVE * self._batch_size and not assignment.paused:
            self._consumer.pause([TopicPartition(*assignment.partition)])
            assignment.paused = True
            self._paused += 1

    def _take_finished(self) -> None:
        while self._finished:
            batch = self._finished.popleft()
            assignment = batch.assignment
            assignment.in_lanes -= len(batch.messages)
            if batch.completed and not self._replay:
                assignment.tracker.finished(message.offset() for message in batch.messages)
            if assignment.paused and assignment.in_lanes < RESUME_BELOW * self._batch_size and not assignment.revoked:
                self._consumer.resume([TopicPartition(*assignment.partition)])
                assignment.paused = False
                self._paused -= 1

    def _commit(self, assignments: Any, asynchronous: bool) -> None:
        self._last_commit = time.monotonic()
        if self._replay:
            return
        offsets = []
        for assignment in assignments:
            next_offset = assignment.tracker.to_commit()
            if next_offset is not None:
                offsets.append(TopicPartition(*assignment.partition, next_offset))
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as error:
            known = error.args[0].code() in _REBALANCE_ERRORS
            self._logger.log(f"commit put off: {error.args[0].str()}", level="debug" if known else "warning")

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        names = [(partition.topic, partition.partition) for partition in partitions]
        for name in names:
            self._assignments[name] = Assignment(name, self._replay)
            if not self._keyed_lanes:
                self._partition_lanes[name] = Lane(f"lane {name[0]}/{name[1]}")
        if names:
            self._logger.log(f"assigned {_listed(names)}", level="debug")
            self._handler.assigned(names)
        if self._replay:
            consumer.assign([TopicPartition(*name, OFFSET_BEGINNING) for name in names])

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._release(partitions, commit=True)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._release(partitions, commit=False)

    def _release(self, partitions: list[TopicPartition], commit: bool) -> None:
        """Give partitions up: stop their electrons where they stand, within one deadline for all, and commit."""
        names = [(partition.topic, partition.partition) for partition in partitions]
        leaving = [self._assignments[name] for name in names if name in self._assignments]
        for assignment in leaving:
            assignment.revoked = True
            self._paused -= assignment.paused
        deadline = time.monotonic() + self._drain_timeout
        while any(assignment.in_lanes for assignment in leaving) and time.monotonic() < deadline:
            self._take_finished()
            time.sleep(0.002)
        if commit:
            self._commit(leaving, asynchronous=False)
        for assignment in leaving:
            del self._assignments[assignment.partition]
            lane = self._partition_lanes.pop(assignment.partition, None)
            if lane is not None:
                lane.close()
        if leaving:
            self._logger.log(f"revoked {_listed([assignment.partition for assignment in leaving])}", level="debug")
            self._handler.revoked([assignment.partition for assignment in leaving])

    def _leave(self) -> None:
        deadline = time.monotonic() + self._drain_timeout
        while any(assignment.in_lanes for assignment in self._assignments.values()) and time.monotonic() < deadline:
            self._take_finished()
            time.sleep(0.002)
        self._take_finished()
        self._commit(self._assignments.values(), asynchronous=False)
        self._consumer.close()
        for lane in [*self._keyed_lanes, *self._partition_lanes.values()]:
            lane.close()


def _listed(partitions: Sequence[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in partitions)
