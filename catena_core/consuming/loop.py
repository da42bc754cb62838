"""The consumer loop: one thread at a time owns the consumer, and polling never waits for a link's own code.

It polls, hands electrons to lanes, and has committed what is finished. A partition of which too much waits is paused, while the
others are polled on, so that Kafka never takes the link for dead and one slow key, topic or node does not stop the rest.

A link with a single lane polls in that lane as long as it keeps up: electrons that stay in one thread cost less than those
that change over. The loop's own thread steps in as soon as the lane has not come back for a moment (the pattern
Leader/Followers of Schmidt, Stal, Rohnert and Buschmann, "Pattern-Oriented Software Architecture", volume 2, 2000).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment, Batch
from catena_core.consuming.backpressure import Pausing
from catena_core.consuming.fair_queue import FairQueue, weight_of
from catena_core.consuming.lag import Positions
from catena_core.consuming.lane_pool import LanePool
from catena_core.delivery.at_least_once import AtLeastOnce, Delivery
from catena_core.delivery.exactly_once import ExactlyOnce
from catena_core.errors import UsageError
from catena_core.kafka.client import consumer_properties
from catena_core.kafka.partition import Partition
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import ConsumerState, Metrics
from catena_core.monitoring.watchdog import Watchdog

# Where topics take turns, lanes are given this many seconds of work ahead: with more, a turn would come late; with less,
# lanes would run empty.
_AHEAD = 0.1

# Seconds that a lane which polls by itself may stay away before the loop's own thread does it.
_ABSENCE = 0.05

# Seconds for which nothing is read where lanes are behind, before partitions are paused.
_HOLD_OFF = 1.0

# While nothing is read, partitions are paused or lanes are full, the thread looks around after so many seconds.
_PATIENCE, _SHORT_PATIENCE = 0.1, 0.02

# Seconds without a message after which outputs are sent at once, and wait for no others any more.
_BREATH = 0.001


class Handler(Protocol):
    """What the loop calls; the runtime of a link."""

    def process(self, batch: Batch) -> None:
        """Transform a batch, in a lane, as far as it comes."""

    def idle(self) -> None:
        """There is nothing more to do for the moment."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """These partitions are this instance's from now on."""

    def revoked(self, partitions: Sequence[Partition], deadline: float) -> None:
        """These partitions are another instance's; none of their electrons is being transformed, or the deadline is over."""

    def replayed(self, partition: Partition) -> None:
        """A replayed partition has been handed out up to its end, for the first time since it was assigned."""


class ConsumerLoop:
    """Reads topics as a member of a consumer group and hands electrons to lanes.

    Args:
        endpoint: Kafka's ``host:port``.
        group: The consumer group.
        instance_id: The name of a static member (KIP-345); ``None``: a dynamic one.
        topics: Called for the topics to read; asked again in every round, so they may change while running.
        handler: What is to happen with electrons and partitions.
        delivery: How offsets are committed.
        lanes: How many lanes electrons are spread over by key, or ``"partition"`` for one lane for each partition.
        replay: Read each partition from its first offset whenever it is assigned, for links whose state is what the topics
            say. Partitions are then assigned by range, so that topics with equally many partitions are shared out alike.
        batch_size: The most electrons taken in one round.
        one_by_one: Hand out an electron only when the one before is committed.
        input_mode: How several topics share the lanes: see :func:`catena_core.consuming.fair_queue.weight_of`.
        window: Electrons within which the shares hold.
        drain_timeout: Seconds for which electrons in lanes may go on when their partition is revoked, or the link stops.
        properties: Further librdkafka properties.
        logger: Where trouble is told.
        metrics: Where all is counted.
        watchdog: Told how far each partition is.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        group: str,
        instance_id: str | None,
        topics: Callable[[], Sequence[str]],
        handler: Handler,
        delivery: Delivery,
        lanes: int | str,
        replay: bool,
        batch_size: int,
        one_by_one: bool,
        input_mode: str,
        window: int,
        drain_timeout: float,
        properties: Mapping[str, str],
        logger: LinkLogger,
        metrics: Metrics,
        watchdog: Watchdog,
    ) -> None:
        self._topics = topics
        self._subscribed: tuple[str, ...] = ()
        self._handler = handler
        self._delivery = delivery
        self._replay = replay
        self._batch_size = 1 if one_by_one else batch_size
        self._one_by_one = one_by_one
        self._drain_timeout = drain_timeout
        self._logger = logger
        self._metrics = metrics
        self._watchdog = watchdog
        self._assignments: dict[Partition, Assignment] = {}
        self._queue: FairQueue[Assignment] = FairQueue(lambda topic: weight_of(input_mode, self._subscribed, topic))
        self._slice = max(1, min(self._batch_size, window // 10))
        self._crowded_since: float | None = None
        self._starving = False
        self._turn = threading.Lock()  # whoever owns the consumer holds it
        self._last_round = 0.0
        self._leaving = True
        self._leave_by: float | None = None
        self._has_left = False
        self._failure: Exception | None = None
        self._lane_may_poll = True
        self._done_lately = 0
        self._measured_at = time.monotonic()
        self._ahead = float(self._slice)
        # The protocol of KIP-848 assigns incrementally.
        self._incremental = not replay or properties.get("group.protocol") == "consumer"
        self._consumer = Consumer(
            consumer_properties(endpoint, group, instance_id, replay, logger, properties)
            | {"on_commit": self._on_commit}
        )
        self._pausing = Pausing(self._consumer, self._batch_size)
        self._positions = Positions(self._consumer, logger, watchdog, isinstance(delivery, ExactlyOnce))
        self._lanes = LanePool(lanes, handler.process, self._poll_in_lane)
        self._lanes.open()
        delivery.attach(self._consumer)
        metrics.read_consumer(self._state)

    def submit(self, call: Callable[..., None], *args: Any, soon: bool = False) -> None:
        """Make a call in the lane of a link with a single one, between electrons.

        Args:
            call: The call; it must not raise.
            args: Its arguments.
            soon: Whether it must not wait until the lane is done polling: then the lane does not poll any more.
        """
        if soon:
            self._lane_may_poll = False
        lane = self._lanes.single
        if lane is None:
            raise UsageError("only a link with a single lane can have calls made between its electrons")
        if lane.is_current:
            call(*args)
        else:
            lane.put(call, *args)

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions that are this instance's."""
        return tuple(self._assignments)

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then finish what is in the lanes, commit it and leave the group.

        Raises:
            KafkaException: The broker refused for good.
        """
        self._leaving = False
        try:
            while not stop.is_set():
                if self._lane_polls and time.monotonic() - self._last_round < _ABSENCE:
                    stop.wait(_ABSENCE / 2)
                    continue
                # Not for ever: a lane that polls takes the lock again sooner than it could be had here.
                if self._turn.acquire(timeout=_ABSENCE):
                    try:
                        self._round()
                    finally:
                        self._turn.release()
        finally:
            self._leaving = True
            with self._turn:
                self._leave()

    @property
    def _lane_polls(self) -> bool:
        """Whether the lane polls by itself when it has nothing else to do."""
        return self._lane_may_poll and self._lanes.single is not None and not self._takes_turns and not self._replay

    def _poll_in_lane(self) -> None:
        """What a lane with nothing to do does: poll, until there is something, or tell that nothing more comes now."""
        lane = self._lanes.single
        while lane is not None and self._lane_polls and not self._leaving and not lane.depth:
            if not self._turn.acquire(timeout=_ABSENCE):
                continue
            try:
                # The loop's own thread may have queued something before it let go: that comes first, since a partition that is
                # revoked waits for what its lane has.
                if not lane.depth:
                    self._round()
            except Exception as error:
                self._failure = error
                return
            finally:
                self._turn.release()
        if self._starving:
            self._handler.idle()

    def _round(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._last_round = time.monotonic()
        self._watchdog.beat()
        self._subscribe()
        self._take_finished()
        self._delivery.advance(self._assignments.values())
        self._hand_out()
        if not self._subscribed:
            time.sleep(0.05)
            return
        if self._hold_off():
            self._wait_for_lanes()
        elif self._queue:
            # The lanes have all they may have: nothing to do before one is done.
            self._wait_for_lanes()
            self._read(0)
        else:
            paused = any(assignment.paused for assignment in self._assignments.values())
            self._read(_SHORT_PATIENCE if paused or self._one_by_one else _PATIENCE)

    def _hold_off(self) -> bool:
        """Whether to wait for the lanes instead of reading on.

        A pause makes Kafka's client throw away what it has fetched ahead. So where lanes are a little behind, nothing is read
        for a moment; only a partition of which too much waits for longer is paused, and the others go on.
        """
        if self._lanes.are_partitions:
            return False
        crowded = [assignment for assignment in self._assignments.values() if self._pausing.is_crowded(assignment)]
        if not crowded:
            self._crowded_since = None
            return False
        now = time.monotonic()
        self._crowded_since = self._crowded_since or now
        if now - self._crowded_since < _HOLD_OFF:
            return True
        for assignment in crowded:
            self._pausing.review(assignment)
        return False

    def _wait_for_lanes(self) -> None:
        if (batch := self._lanes.finished(_SHORT_PATIENCE)) is not None:
            self._finish(batch)

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

    # Reading

    def _read(self, patience: float) -> None:
        # What has not come for so short a time may come a moment later, and its outputs go out together with those before.
        first = self._consumer.poll(min(patience, _BREATH))
        if first is None and patience:
            first = self._wait_for_messages(patience)
        if first is None:
            return
        # `consume(n, t)` would wait out t when fewer than n messages are there.
        messages = [first, *self._consumer.consume(self._batch_size - 1, 0)] if self._batch_size > 1 else [first]
        # Messages of a partition come in runs, so its list is seldom looked up.
        by_partition: dict[Partition, list[Any]] = {}
        run: list[Any] = []
        topic, number = None, None
        for message in messages:
            if message.error() is not None:
                # What came before the end of a partition must be handed out before the end is told.
                self._take_in(by_partition)
                by_partition, topic = {}, None
                self._take_error(message)
                continue
            if message.partition() != number or message.topic() != topic:
                topic, number = message.topic(), message.partition()
                run = by_partition.setdefault((topic, number), [])
            run.append(message)
        self._take_in(by_partition)
        self._hand_out()

    def _wait_for_messages(self, patience: float) -> Any:
        """Wait for the next message, while outputs are no longer held back to be sent together with more."""
        self._starving = True
        try:
            if not self._lanes.in_lanes:
                self._handler.idle()
            return self._consumer.poll(patience)
        finally:
            self._starving = False

    def _take_error(self, message: Any) -> None:
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            assignment = self._assignments.get((message.topic(), message.partition()))
            if assignment is not None and assignment.replaying:
                self._hand_out()
                assignment.replaying = False
                self._handler.replayed(assignment.partition)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self._logger.log(f"reading {message.topic() or 'from Kafka'}: {error.str()}", level="warning")

    def _take_in(self, by_partition: dict[Partition, list[Any]]) -> None:
        for partition, messages in by_partition.items():
            assignment = self._assignments.get(partition)
            if assignment is None:
                continue
            batch = Batch(assignment, messages, [message.offset() for message in messages])
            if assignment.tracker.next_offset < 0:
                if not self._positions.begins_rightly(assignment, batch.offsets[0]):
                    continue
                assignment.committed = batch.offsets[0]
            assignment.waiting += len(messages)
            assignment.bytes_waiting += batch.bytes
            assignment.tracker.dispatched(batch.offsets)
            if self._takes_turns:
                self._queue.add(partition[0], assignment, messages)
            else:
                self._lanes.dispatch(batch)
            if self._lanes.are_partitions:
                self._pausing.review(assignment)

    # Handing out

    @property
    def _takes_turns(self) -> bool:
        """Whether electrons wait for their turn before they go to lanes; if not, they go at once."""
        if self._replay or self._lanes.are_partitions:
            return False
        several = len(self._subscribed) > 1 or any(topic.startswith("^") for topic in self._subscribed)
        return self._one_by_one or several or bool(self._queue)

    def _hand_out(self) -> None:
        while self._queue and (room := self._room) > 0:
            assignment, messages = self._queue.take(min(room, self._slice))
            self._lanes.dispatch(Batch(assignment, messages, [message.offset() for message in messages]))

    @property
    def _room(self) -> int:
        if self._one_by_one:
            uncommitted = any(item.tracker.next_offset > item.committed for item in self._assignments.values())
            return 0 if self._lanes.in_lanes or uncommitted else 1
        return int(self._ahead) + 2 * self._slice - self._lanes.in_lanes

    def _take_finished(self) -> None:
        while (batch := self._lanes.finished()) is not None:
            self._finish(batch)
        now = time.monotonic()
        if now - self._measured_at > 0.25:
            rate = self._done_lately / (now - self._measured_at)
            self._ahead = min(rate * _AHEAD, float(self._pausing.most_waiting))
            self._done_lately, self._measured_at = 0, now
            self._positions.measure(self._assignments.values())

    def _finish(self, batch: Batch) -> None:
        assignment = batch.assignment
        self._done_lately += batch.done
        assignment.waiting -= len(batch.messages)
        assignment.bytes_waiting -= batch.bytes
        assignment.tracker.finished(batch.offsets[: batch.done] if batch.done < len(batch.offsets) else batch.offsets)
        assignment.outputs += batch.outputs
        if assignment.paused and not assignment.revoked:
            self._pausing.review(assignment)

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._leave_by is not None:
            # What comes while it closes librdkafka takes for the end of the assignment; a commit between that and its own end
            # ends the process, by an assertion (https://github.com/confluentinc/librdkafka/issues/4027).
            self._has_left = True
            return
        names = [(partition.topic, partition.partition) for partition in partitions]
        for name in names:
            self._assignments[name] = Assignment(name, self._replay)
            self._lanes.assigned(name)
        if names:
            self._positions.assigned()
            self._logger.log(f"assigned {_listed(names)}", level="debug")
            self._metrics.rebalanced()
        self._handler.assigned(names)  # of none, too: who has joined and got nothing is ready all the same
        if self._replay:
            # Where to begin is part of the assignment: a seek at this moment would be lost.
            begin = [TopicPartition(*name, OFFSET_BEGINNING) for name in names]
            if self._incremental:
                consumer.incremental_assign(begin)
            else:
                consumer.assign(begin)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._release(partitions, commit=not self._has_left)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._release(partitions, commit=False)

    def _release(self, partitions: list[TopicPartition], commit: bool) -> None:
        """Give partitions up: stop their electrons where they stand, within one deadline for all, and commit."""
        names = [(partition.topic, partition.partition) for partition in partitions]
        leaving = [self._assignments[name] for name in names if name in self._assignments]
        deadline = self._leave_by or time.monotonic() + self._drain_timeout
        self._pausing.release(leaving)
        self._stop_work(leaving, deadline)
        if commit and leaving:
            self._delivery.settle(leaving, deadline)
        for assignment in leaving:
            del self._assignments[assignment.partition]
            self._watchdog.forget(assignment.partition)
            self._metrics.forget(*assignment.partition)
            self._lanes.revoked(assignment.partition)
        if leaving:
            self._logger.log(f"revoked {_listed([assignment.partition for assignment in leaving])}", level="debug")
            self._metrics.rebalanced()
            self._handler.revoked([assignment.partition for assignment in leaving], deadline)

    def _stop_work(self, leaving: Collection[Assignment], deadline: float) -> None:
        """Leave what waits of these partitions where it is, and wait for the electrons that lanes are at."""
        for assignment in leaving:
            assignment.revoked = True
            self._queue.drop(assignment)
        while any(assignment.in_lanes for assignment in leaving) and time.monotonic() < deadline:
            if (batch := self._lanes.finished(0.01)) is not None:
                self._finish(batch)

    def _leave(self) -> None:
        leaving = list(self._assignments.values())
        self._leave_by = deadline = time.monotonic() + self._drain_timeout
        self._stop_work(leaving, deadline)
        self._delivery.settle(leaving, deadline)
        self._metrics.read_consumer(None)
        self._consumer.close()
        self._lanes.close()

    # What others ask

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None and isinstance(self._delivery, AtLeastOnce):
            names = [(partition.topic, partition.partition) for partition in partitions]
            self._delivery.failed(error, [self._assignments[name] for name in names if name in self._assignments])

    def _state(self) -> ConsumerState:
        assignments = list(self._assignments.items())
        lags = {partition: assignment.lag for partition, assignment in assignments if assignment.lag >= 0}
        paused = sum(assignment.paused for _, assignment in assignments)
        return ConsumerState(lags, self._lanes.depths(), paused)


def _listed(partitions: Sequence[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in partitions)
