"""The consumer loop: one thread at a time owns the consumer, and polling never waits for a link's own code.

It polls, dispatches electrons to lanes, and has finished offsets committed. It pauses a partition of which too much waits and
polls the others on, so that Kafka never takes the link for dead and one slow key, topic or node does not stop the rest.

A link with a single lane polls in that lane as long as it keeps up: an electron that stays in one thread costs less. The
loop's own thread steps in when the lane stays away (the pattern Leader/Followers of Schmidt, Stal, Rohnert and Buschmann,
"Pattern-Oriented Software Architecture", volume 2, 2000).
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from catena_core.consuming.assignment import Assignment, size_of
from catena_core.consuming.backpressure import Backpressure
from catena_core.consuming.fair_queue import FairQueue, weight_of
from catena_core.consuming.group_watch import GroupWatch
from catena_core.consuming.lag import measure_lag
from catena_core.consuming.lanes import Batch, Concurrent, LanePool
from catena_core.consuming.leaving import LEAVE_TIMEOUT, close, commit_last, hear_of_rebalance
from catena_core.consuming.refusals import refusal
from catena_core.consuming.starting_points import StartingPoints
from catena_core.consuming.subscription import Subscription
from catena_core.consuming.topic_watch import TopicWatch
from catena_core.delivery.base import Delivery
from catena_core.kafka.client import REFRESH, client_properties, consumer_properties
from catena_core.kafka.in_time import StuckError, in_time
from catena_core.kafka.partition import Partition
from catena_core.kafka.statistics import StatisticsWatch
from catena_core.kafka.topic_ids import TopicIds
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import ConsumerState, Metrics

# Where topics share the lanes, these get so many seconds of work ahead: with more, the next topic would wait too long; with
# less, lanes would run empty.
_AHEAD = 0.1

# Seconds for which a polling lane may stay away before the loop's own thread polls.
_ABSENCE = 0.05

# Seconds to wait for the next message; the short ones while partitions are paused or lanes are full.
_POLL_TIMEOUT, _SHORT_POLL_TIMEOUT = 0.1, 0.02

# Seconds without a message after which outputs are sent at once, without waiting for more.
_LINGER = 0.001


class PartitionListener(Protocol):
    """Follows the partitions that this instance gets and loses."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """React to new partitions."""

    def revoked(self, partitions: Sequence[Partition], deadline: float) -> None:
        """React to the loss of partitions; lanes have left their electrons, or the deadline is over."""

    def replayed(self, assignment: Assignment) -> None:
        """React to the end of a replay: the partition was dispatched up to its end for the first time."""


class ConsumerLoop:
    """Reads topics as a member of a consumer group and dispatches electrons to lanes.

    Args:
        endpoint: Kafka's ``host:port``.
        group: The consumer group.
        instance_id: The name of a static member (KIP-345); ``None``: a dynamic one.
        subscription: The topics to read, which may change while the loop runs.
        process: Transforms a batch, in a lane; it must not raise.
        idle: Sends queued outputs at once, because no more follow for the moment.
        listener: Called for assigned, revoked and replayed partitions.
        delivery: Commits offsets.
        lanes: How many lanes electrons are spread over by key, or ``"partition"`` for one lane for each partition.
        replay: Read each partition from its first offset whenever it is assigned, for links that rebuild their state from
            the topics. Partitions are then assigned by range, so that topics with equally many partitions are shared alike.
        batch_size: The most electrons of one read.
        batch_linger: Seconds for which a read waits for more electrons after the first one.
        one_by_one: Dispatch an electron only when the one before is committed.
        input_mode: How several topics share the lanes: see :func:`catena_core.consuming.fair_queue.weight_of`.
        window: Electrons within which the shares hold.
        drain_timeout: Seconds for which electrons in lanes may go on when their partition is revoked, or the link stops.
        properties: Further librdkafka properties.
        left_out: Topics that no pattern matches.
        logger: The link's log.
        metrics: The link's metrics.
        concurrent: Transforms batches in place of ``process``, beside the lanes.

    Attributes:
        last_run: When a thread last ran the loop once, by the monotonic clock.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        group: str,
        instance_id: str | None,
        subscription: Subscription,
        process: Callable[[Batch], None],
        idle: Callable[[], None],
        listener: PartitionListener,
        delivery: Delivery,
        lanes: int | str,
        replay: bool,
        batch_size: int,
        batch_linger: float,
        one_by_one: bool,
        input_mode: str,
        window: int,
        drain_timeout: float,
        properties: Mapping[str, str],
        left_out: Sequence[str],
        logger: LinkLogger,
        metrics: Metrics,
        concurrent: Concurrent | None = None,
    ) -> None:
        self._subscription = subscription
        self._subscribed: tuple[str, ...] = ()
        self._topics: tuple[str, ...] = ()
        self._has_patterns = False
        self._watch = TopicWatch(endpoint, properties, frozenset(left_out), logger)
        self._listener = listener
        self._flush_linger = idle
        self._delivery = delivery
        self._replay = replay
        self._batch_size = 1 if one_by_one else batch_size
        self._batch_linger = batch_linger
        self._one_by_one = one_by_one
        self._drain_timeout = drain_timeout
        self._logger = logger
        self._metrics = metrics
        self._assignments: dict[Partition, Assignment] = {}
        self._sought: set[Assignment] = set()  # what the last read holds of these comes from before their seek
        self._queue: FairQueue[tuple[Assignment, int]] = FairQueue(
            lambda topic: weight_of(input_mode, self._subscribed, topic)
        )
        self._slice = max(1, min(self._batch_size, window // 10))
        self._idle = False
        self._owner = threading.Lock()  # held by the thread that owns the consumer
        self.last_run = time.monotonic()
        self._leaving = True
        self._leave_by: float | None = None
        self._closing = False
        self._has_left = False
        self._group = group
        self._instance_id = instance_id
        self._failure: BaseException | None = None
        self._lane_may_poll = True
        self._done_lately = 0
        self._measured_at = time.monotonic()
        self._ahead = float(self._slice)
        # The protocol of KIP-848 assigns incrementally.
        self._incremental = not replay or properties.get("group.protocol") == "consumer"
        settings = consumer_properties(endpoint, group, instance_id, replay, logger, properties)
        self._log_client_error = settings["error_cb"]
        self._statistics = StatisticsWatch(settings)
        callbacks = {"on_commit": self._on_commit, "error_cb": self._on_client_error}
        self._consumer = Consumer(settings | self._statistics.properties | callbacks)
        self._backpressure = Backpressure(self._consumer, self._batch_size)
        refresh = float(settings[REFRESH]) / 1000
        ids = TopicIds(client_properties(endpoint, logger, properties))
        self._starts = StartingPoints(self._consumer, ids, logger, delivery.transactional, refresh)
        self._group_watch = GroupWatch(group, client_properties(endpoint, logger, properties), refresh)
        self._lanes = LanePool(lanes, process, self._poll_in_lane, self._fail, concurrent, self._batch_size)
        self._shares_lanes = self._must_share_lanes()
        self._lanes.open()
        delivery.attach(self._consumer, self._starts)
        metrics.read_consumer(self._state)

    def submit_urgent(self, call: Callable[[], None]) -> None:
        """Make a call in the lane of a link with a single one, once the electron under way is done; it must not raise."""
        lane = self._lanes.single
        if lane is None or lane.is_current:
            call()
            return
        lane.put_urgent(call)
        for assignment in self._assignments.values():
            assignment.interrupts = True

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
        assert lane is not None
        if lane.is_current:
            call(*args)
        else:
            lane.put(call, *args)

    def progress(self) -> dict[Partition, tuple[int, bool]]:
        """Give the position of each partition, and whether electrons of it are under way. Other threads may call it."""
        assignments = list(self._assignments.items())
        return {partition: (assignment.position, assignment.waiting > 0) for partition, assignment in assignments}

    def problems(self) -> dict[str, str]:
        """Give the problems for the link's health. Other threads may call it."""
        problems = self._watch.problems()
        if unassigned := self._group_watch.unassigned:
            problems["group"] = f"no member of the group {self._group} has {_listed(sorted(unassigned))}"
            if self._instance_id is not None:
                problems["group"] += "; stop all of them for its session timeout, then start them again"
        return problems

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then drain the lanes, commit and leave the group.

        Raises:
            ReadingError: The broker refused for good.
            KafkaException: The client cannot subscribe.
        """
        self._leaving = False
        try:
            while not stop.is_set():
                if self._lane_polls and time.monotonic() - self.last_run < _ABSENCE:
                    stop.wait(_ABSENCE / 2)
                    continue
                # Not for ever: a lane that polls takes the lock again sooner than it could be had here.
                if self._owner.acquire(timeout=_ABSENCE):
                    try:
                        self._run_once()
                    finally:
                        self._owner.release()
        finally:
            self._leaving = True
            with self._owner:
                self._leave()

    @property
    def _lane_polls(self) -> bool:
        """True if the lane polls by itself when it has nothing else to do."""
        return self._lane_may_poll and self._lanes.single is not None and not self._shares_lanes and not self._replay

    def _poll_in_lane(self) -> None:
        """Poll in a lane that has nothing to do, until it has, or have its outputs sent because no more come now."""
        lane = self._lanes.single
        while lane is not None and self._lane_polls and not self._leaving and not lane.depth:
            if not self._owner.acquire(timeout=_ABSENCE):
                continue
            try:
                # The loop's own thread may have queued a batch before: that comes first, since a partition that is revoked
                # waits for its lane.
                if not lane.depth:
                    self._run_once()
            except BaseException as error:
                self._fail(error)
                return
            finally:
                self._owner.release()
        if self._idle:
            self._flush_linger()

    def _fail(self, error: BaseException) -> None:
        """Have the loop's own thread raise an error of a lane."""
        self._failure = self._failure or error

    def _run_once(self) -> None:
        if self._failure is not None:
            raise self._failure
        self.last_run = time.monotonic()
        self._subscribe()
        self._collect()
        self._delivery.maybe_commit(self._assignments.values())
        if self._shares_lanes:
            self._dispatch()
        if not self._topics:
            time.sleep(0.05)
            return
        if not self._lanes.are_partitions and self._backpressure.holds_back(self._assignments.values()):
            self._wait_for_lanes()
        elif self._shares_lanes and self._queue:
            # The lanes have all they may have: nothing to do before one is done.
            self._wait_for_lanes()
            self._read(0)
        else:
            paused = any(assignment.paused for assignment in self._assignments.values())
            self._read(_SHORT_POLL_TIMEOUT if paused or self._one_by_one else _POLL_TIMEOUT)

    def _wait_for_lanes(self) -> None:
        if (batch := self._lanes.collect(_SHORT_POLL_TIMEOUT)) is not None:
            self._finish(batch)

    def _subscribe(self) -> None:
        wanted = self._subscription.topics
        if wanted != self._subscribed:
            self._subscribed = wanted
            self._shares_lanes = self._must_share_lanes()
            self._has_patterns = any(name.startswith("^") for name in wanted)
        topics = self._watch.resolve(wanted) if self._has_patterns else wanted
        if topics != self._topics:
            self._watch.has(set(self._topics) - set(topics))
            self._topics = topics
            if topics:
                self._consumer.subscribe(
                    list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
                self._group_watch.changed()
            else:
                self._consumer.unsubscribe()

    def _join_again(self) -> None:
        """Leave the group and join it, so that its partitions are shared out again; a static member cannot leave."""
        listed = _listed(sorted(self._group_watch.unassigned))
        self._logger.log(f"no member of the group {self._group} has {listed}; joining it again", level="warning")
        if self._instance_id is None:
            hear_of_rebalance(self._consumer, self._batch_size)
            self._consumer.unsubscribe()
            self._topics = ()  # the next look at the subscription subscribes again

    # Reading

    def _read(self, timeout: float) -> None:
        # After so short a silence a message may follow at once, and its outputs go out together with those before.
        first = self._consumer.poll(min(timeout, _LINGER))
        self._statistics.polled(first)
        if first is None and timeout:
            first = self._wait_for_message(timeout)
        if first is None:
            return
        # `consume(n, t)` waits out t when fewer than n messages are there.
        more = self._consumer.consume(self._batch_size - 1, self._batch_linger) if self._batch_size > 1 else []
        messages = [first, *more]
        self._sought.clear()
        # Messages of a partition come in runs, so its list is seldom looked up.
        by_partition: dict[Partition, list[Any]] = {}
        run: list[Any] = []
        topic, number = None, None
        for message in messages:
            if message.error() is not None:
                # Electrons before the end of a partition go to lanes before the listener is called.
                self._buffer(by_partition)
                by_partition, topic = {}, None
                self._handle_error(message)
                continue
            if message.partition() != number or message.topic() != topic:
                topic, number = message.topic(), message.partition()
                run = by_partition.setdefault((topic, number), [])
            run.append(message)
        self._buffer(by_partition)
        if self._shares_lanes:
            self._dispatch()

    def _wait_for_message(self, timeout: float) -> Any:
        """Wait for the next message; outputs do not wait with it, but are sent."""
        self._idle = True
        try:
            if not self._lanes.in_lanes:
                self._flush_linger()
            return self._consumer.poll(timeout)
        finally:
            self._idle = False

    def _handle_error(self, message: Any) -> None:
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            assignment = self._assignments.get((message.topic(), message.partition()))
            if assignment is not None and self._is_in_place(assignment, message.offset()):
                if message.offset() > 0:
                    assignment.tracker.reached(message.offset())
                if assignment.replaying:
                    assignment.replaying = False
                    self._listener.replayed(assignment)
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART and message.topic() in self._topics:
            self._logger.log(f"reading {message.topic()}: {error.str()}", level="warning")
            self._watch.misses(message.topic())
        elif (final := refusal(error, message.topic(), self._group, self._instance_id)) is not None:
            raise final
        else:
            self._logger.log(f"reading {message.topic() or 'from Kafka'}: {error.str()}", level="warning")

    def _buffer(self, by_partition: dict[Partition, list[Any]]) -> None:
        for partition, messages in by_partition.items():
            assignment = self._assignments.get(partition)
            if assignment is None or not self._is_in_place(assignment, messages[0].offset()):
                continue
            batch = Batch(assignment, messages, [message.offset() for message in messages])
            if assignment.tracker.next_offset < 0:
                assignment.committed = batch.offsets[0]
            elif batch.offsets[0] < assignment.tracker.next_dispatch:
                self._logger.log(f"{partition[0]}[{partition[1]}] starts again at {batch.offsets[0]}", level="warning")
                assignment.start_again(batch.offsets[0])
                batch.start = assignment.starts
            assignment.waiting += len(messages)
            assignment.bytes_waiting += batch.bytes
            assignment.tracker.dispatched(batch.offsets)
            if self._shares_lanes:
                self._queue.add(partition[0], (assignment, assignment.starts), messages)
            else:
                self._lanes.dispatch(batch)
            if self._lanes.are_partitions:
                self._backpressure.apply(assignment)

    def _is_in_place(self, assignment: Assignment, offset: int) -> bool:
        """Tell whether what is read of a partition counts: it starts where it should, and waits for no seek."""
        if assignment.seek_to is None and assignment.tracker.next_offset >= 0:
            return True
        if assignment in self._sought:
            return False
        if not self._starts.verify(assignment, offset, self._assignments.values()):
            self._sought.add(assignment)
        return assignment not in self._sought

    # Dispatching

    def _must_share_lanes(self) -> bool:
        """Tell whether electrons wait for their topic's share of the lanes; if not, they go to lanes at once."""
        if self._replay or self._lanes.are_partitions:
            return False
        several = len(self._subscribed) > 1 or any(topic.startswith("^") for topic in self._subscribed)
        return self._one_by_one or several or bool(self._queue)

    def _dispatch(self) -> None:
        while self._queue and (room := self._room) > 0:
            (assignment, start), messages = self._queue.take(min(room, self._slice))
            batch = Batch(assignment, messages, [message.offset() for message in messages])
            batch.start = start
            self._lanes.dispatch(batch)
        if not self._queue:
            self._shares_lanes = self._must_share_lanes()

    @property
    def _room(self) -> int:
        if self._one_by_one:
            uncommitted = any(item.tracker.next_offset > item.committed for item in self._assignments.values())
            return 0 if self._lanes.in_lanes or uncommitted else 1
        return int(self._ahead) + 2 * self._slice - self._lanes.in_lanes

    def _collect(self) -> None:
        while (batch := self._lanes.collect()) is not None:
            self._finish(batch)
        now = time.monotonic()
        if now - self._measured_at > 0.25:
            rate = self._done_lately / (now - self._measured_at)
            self._ahead = min(rate * _AHEAD, float(self._backpressure.most_waiting))
            self._done_lately, self._measured_at = 0, now
            self._starts.update(self._assignments.values())
            if now > self._group_watch.due and self._topics and self._group_watch.look(self._topics, self._assignments):
                self._join_again()
            if not self._statistics.is_doubted:
                measure_lag(self._consumer, self._assignments.values())
            for assignment in self._assignments.values():
                if assignment.paused:  # a commit may have made room
                    self._backpressure.apply(assignment)

    def _finish(self, batch: Batch) -> None:
        assignment = batch.assignment
        self._done_lately += batch.done
        assignment.waiting -= len(batch.messages)
        assignment.bytes_waiting -= batch.bytes
        outputs = batch.outputs
        if batch.start == assignment.starts:
            assignment.tracker.finished(
                batch.offsets[: batch.done] if batch.done < len(batch.offsets) else batch.offsets
            )
        elif outputs:
            outputs = assignment.of_old_topic(outputs)
        if outputs:
            assignment.outputs += outputs
            assignment.output_bytes += sum(size_of(output) for _, output in outputs)
        if assignment.paused and not assignment.revoked:
            self._backpressure.apply(assignment)

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            # While it closes, librdkafka takes this call for the end of the assignment. A commit between that and the real
            # end ends the process, by an assertion (https://github.com/confluentinc/librdkafka/issues/4027).
            self._has_left = True
            return
        names = [(partition.topic, partition.partition) for partition in partitions]
        if self._leave_by is not None:
            return  # nothing of them will be read
        for name in names:
            self._assignments[name] = Assignment(name, self._replay)
            self._lanes.assigned(name)
        self._backpressure.partitions = len(self._assignments)
        if names:
            self._watch.has(topic for topic, _ in names)
            self._metrics.start_at_zero({topic for topic, _ in names})
            self._starts.assigned()
            self._logger.log(f"assigned {_listed(names)}", level="debug")
            self._metrics.rebalanced()
        self._group_watch.changed()
        self._listener.assigned(names)  # of none, too: a member that got nothing is ready all the same
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
        """Give partitions up: drain their lanes within one deadline for all, and commit."""
        names = [(partition.topic, partition.partition) for partition in partitions]
        leaving = [self._assignments[name] for name in names if name in self._assignments]
        deadline = self._leave_by or time.monotonic() + self._drain_timeout
        self._backpressure.release(leaving)
        self._drain(leaving, deadline)
        if commit and leaving:
            self._delivery.flush_and_commit(leaving, deadline)
        for assignment in leaving:
            del self._assignments[assignment.partition]
            self._metrics.forget(*assignment.partition)
            self._lanes.revoked(assignment.partition)
        self._backpressure.partitions = len(self._assignments)
        if leaving:
            self._logger.log(f"revoked {_listed([assignment.partition for assignment in leaving])}", level="debug")
            self._metrics.rebalanced()
            self._listener.revoked([assignment.partition for assignment in leaving], deadline)

    def _drain(self, leaving: Collection[Assignment], deadline: float) -> None:
        """Discard the queued electrons of these partitions, and wait for those that lanes transform at the moment."""
        for assignment in leaving:
            assignment.revoke()
        self._queue.drop(lambda owner: owner[0] in leaving)
        while self._lanes.is_transforming(leaving) and time.monotonic() < deadline:
            if (batch := self._lanes.collect(0.01)) is not None:
                self._finish(batch)
        while (batch := self._lanes.collect()) is not None:
            self._finish(batch)

    def _leave(self) -> None:
        leaving = list(self._assignments.values())
        self._leave_by = deadline = time.monotonic() + self._drain_timeout
        self._drain(leaving, deadline)
        try:
            in_time(
                lambda: commit_last(self._consumer, self._delivery, self._assignments, deadline, self._logger),
                self._drain_timeout + LEAVE_TIMEOUT,
            )
            self._closing = True
            self._watch.close()
            self._starts.close()
            self._metrics.read_consumer(None)
            is_silent = not self._assignments and self._instance_id is None
            in_time(lambda: close(self._consumer, self._batch_size, is_silent), LEAVE_TIMEOUT)
        except StuckError:
            self._delivery.abandon()
            self._starts.close()
            # The client is abandoned, and never freed: that would wait for Kafka, too. A session timeout ends its membership.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._consumer))
            self._logger.log("Kafka does not answer; ending without leaving the consumer group", level="warning")
            self._release([TopicPartition(*name) for name in self._assignments], commit=False)
        self._lanes.close()

    # Reports

    def _on_client_error(self, error: KafkaError) -> None:
        self._statistics.doubt()
        self._log_client_error(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._watch.doubts()

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None:
            names = [(partition.topic, partition.partition) for partition in partitions]
            self._delivery.commit_failed(
                error, [self._assignments[name] for name in names if name in self._assignments]
            )

    def _state(self) -> ConsumerState:
        assignments = list(self._assignments.items())
        lags = {partition: assignment.lag for partition, assignment in assignments if assignment.lag >= 0}
        paused = sum(assignment.paused for _, assignment in assignments)
        return ConsumerState(lags, self._lanes.depths(), paused)


def _listed(partitions: Sequence[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in partitions)
