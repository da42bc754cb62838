"""Lanes: threads in which a link's own code runs, beside the thread that owns the consumer.

An electron's key decides its lane, so lanes transform electrons of one key in order while others go on beside them.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol

from catena_core.consuming.assignment import Assignment, Output, size_of
from catena_core.kafka.partition import Partition

# The most messages of a batch that are transformed at once: their outputs are held until the last of them is done.
_CONCURRENT_PART = 32


class Lane:
    """One thread that runs calls in order.

    Args:
        name: The thread's name, as logs and stack dumps show it.
        fail: Called with whatever error a call raises.
        idle: Called whenever everything that was queued has run; it may find more work and queue it.

    Attributes:
        batch: The batch that it transforms at the moment.
        last: The batch that waits as the last one, if more of its partition may join it.
    """

    def __init__(
        self, name: str, fail: Callable[[BaseException], None], idle: Callable[[], None] = lambda: None
    ) -> None:
        self.name = name
        self._fail = fail
        self._idle = idle
        self._queue: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._urgent: deque[Callable[[], None]] = deque()
        self.batch: Batch | None = None
        self.last: Batch | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """True if the caller runs in this lane."""
        return threading.current_thread() is self._thread

    @property
    def depth(self) -> int:
        """The number of waiting calls."""
        return self._queue.qsize()

    def put(self, work: Callable[..., None], *args: Any) -> None:
        """Queue a call behind everything queued before it."""
        self._queue.put((work, args))

    def put_urgent(self, work: Callable[[], None]) -> None:
        """Queue a call before all others: it runs once the electron under way is done."""
        self._urgent.append(work)
        self._queue.put((self.run_urgent, ()))

    def run_urgent(self) -> None:
        """Run the urgent calls, in this lane."""
        while self._urgent:
            self._urgent.popleft()()

    def close(self) -> None:
        """End the thread once everything queued has run."""
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            try:
                if self._queue.empty():
                    self._idle()
                item = self._queue.get()
                if item is None:
                    return
                work, args = item
                if self._urgent:
                    self.run_urgent()
                work(*args)
            except BaseException as error:  # the lane goes on, so that the link can end in order
                self._fail(error)


def _nothing() -> None:
    pass


class Batch:
    """Messages of one partition, dispatched to one lane together.

    Attributes:
        assignment: Their partition.
        messages: The messages, in order.
        offsets: Their offsets.
        bytes: The size of their values, in bytes.
        done: How many of them, from the first on, have been transformed and their outputs sent.
        outputs: In ``exactly_once``: their outputs, with their offsets.
        held: The size of these, in bytes.
        hand_over: Called with a part that is done, before the rest is.
        start: Which start of the partition's log they belong to.
    """

    __slots__ = (
        "assignment",
        "bytes",
        "done",
        "hand_over",
        "held",
        "messages",
        "offsets",
        "outputs",
        "run_urgent",
        "start",
    )

    def __init__(self, assignment: Assignment, messages: list[Any], offsets: list[int]) -> None:
        self.assignment = assignment
        self.messages = messages
        self.offsets = offsets
        self.bytes = sum(map(len, messages))
        self.done = 0
        self.outputs: list[tuple[int, Output]] = []
        self.start = assignment.starts
        self.held = 0
        self.run_urgent: Callable[[], None] = _nothing
        self.hand_over: Callable[[Batch], None] = lambda part: None

    def take_in(self, other: Batch, most: int) -> bool:
        """Take in a later batch, unless that is of another partition or makes too many; return whether it has."""
        is_same = self.assignment is other.assignment and self.start == other.start
        if not is_same or len(self.messages) + len(other.messages) > most:
            return False
        self.messages += other.messages
        self.offsets += other.offsets
        self.bytes += other.bytes
        return True

    def parts(self, most: int) -> list[Batch]:
        """Divide it into batches of so many messages at most."""
        bounds = [slice(begin, begin + most) for begin in range(0, len(self.messages), most)]
        parts = [Batch(self.assignment, self.messages[bound], self.offsets[bound]) for bound in bounds]
        for part in parts:
            part.start = self.start
        return parts

    def may_go_on(self) -> bool:
        """Run the urgent calls of the lane; return whether the partition is still this instance's."""
        assignment = self.assignment
        if assignment.revoked:
            return False
        assignment.interrupts = False  # before the look at the reasons: one that comes later sets it again
        self.run_urgent()
        if assignment.revoked:
            assignment.interrupts = True
        return not assignment.revoked

    def discard_outputs(self, offset: int) -> None:
        """Drop the outputs of a failed attempt, as far as the transaction holds them back."""
        while self.outputs and self.outputs[-1][0] == offset:
            self.held -= size_of(self.outputs.pop()[1])

    def split(self) -> Batch:
        """Take away what is done, with its outputs, and give it as a batch of its own."""
        part = Batch(self.assignment, self.messages[: self.done], self.offsets[: self.done])
        part.done, part.outputs, part.start = self.done, self.outputs, self.start
        self.messages, self.offsets = self.messages[self.done :], self.offsets[self.done :]
        self.bytes -= part.bytes
        self.done, self.outputs, self.held = 0, [], 0
        return part


class Concurrent(Protocol):
    """Transforms batches beside the lanes: see :mod:`catena_core.transforming.concurrent`."""

    def start(self, batch: Batch, finished: Callable[[], None]) -> None:
        """Transform a batch, and call ``finished`` at its end."""

    def is_transforming(self, assignments: Collection[Assignment]) -> bool:
        """Tell whether electrons of these partitions are under way."""


class LanePool:
    """The lanes of one consumer: so many for all partitions, or one for each partition.

    Only the thread that owns the consumer dispatches batches and collects them.

    Args:
        lanes: How many lanes electrons are spread over by key, or ``"partition"``.
        process: Called in a lane for each batch.
        idle: Called in a lane whenever it has nothing to do; it may find more work and queue it.
        fail: Called with whatever error one of them raises.
        concurrent: Transforms batches in place of ``process``, beside the lanes.
        batch_size: The most messages of a batch: those that wait in the lane of a partition are transformed together.

    Attributes:
        are_partitions: Whether each partition has a lane.
        single: The lane, where there is just one for all partitions, from :meth:`open` on.
        in_lanes: The number of electrons that lanes have.
    """

    def __init__(
        self,
        lanes: int | str,
        process: Callable[[Batch], None],
        idle: Callable[[], None],
        fail: Callable[[BaseException], None],
        concurrent: Concurrent | None = None,
        batch_size: int = 1,
    ) -> None:
        self._batch_size = batch_size
        self._joining = threading.Lock()
        self._concurrent = concurrent
        self._process = process
        self._fail = fail
        self._idle = idle
        self._number = 0 if lanes == "partition" else int(lanes)
        self._keyed: list[Lane] = []
        self._by_partition: dict[Partition, Lane] = {}
        self._finished: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self.are_partitions = not self._number
        self.single: Lane | None = None
        self.in_lanes = 0

    def open(self) -> None:
        """Start the lanes for all partitions; from now on they call ``idle``."""
        self._keyed = [Lane(f"lane {number}", self._fail, self._idle) for number in range(self._number)]
        self.single = self._keyed[0] if self._number == 1 else None

    def assigned(self, partition: Partition) -> None:
        """Start the lane of a partition, where each has its own."""
        if self.are_partitions:
            self._by_partition[partition] = Lane(f"lane {partition[0]}/{partition[1]}", self._fail, self._idle)

    def revoked(self, partition: Partition) -> None:
        """End the lane of a partition once it is done."""
        lane = self._by_partition.pop(partition, None)
        if lane is not None:
            lane.close()

    def close(self) -> None:
        """End all lanes once they are done."""
        for lane in self._all():
            lane.close()

    def depths(self) -> dict[str, int]:
        """Count the waiting calls of each lane, by its name. Other threads may call it."""
        return {lane.name: lane.depth for lane in self._all()}

    def dispatch(self, batch: Batch) -> None:
        """Give messages of one partition to their lanes."""
        own = self._by_partition.get(batch.assignment.partition)
        if own is not None:
            self._put(own, batch)
        elif self.single is not None:
            self._put(self.single, batch)
        else:
            by_lane: dict[int, tuple[list[Any], list[int]]] = {}
            for message, offset in zip(batch.messages, batch.offsets, strict=True):
                key = message.key()
                number = (offset if key is None else hash(key)) % len(self._keyed)
                messages, offsets = by_lane.setdefault(number, ([], []))
                messages.append(message)
                offsets.append(offset)
            for number, (messages, offsets) in by_lane.items():
                self._put(self._keyed[number], Batch(batch.assignment, messages, offsets))

    def collect(self, timeout: float = 0) -> Batch | None:
        """Take the next batch that a lane is done with; ``None`` if there is none within so many seconds."""
        try:
            batch = self._finished.get(timeout=timeout) if timeout else self._finished.get_nowait()
        except queue.Empty:
            return None
        self.in_lanes -= len(batch.messages)
        batch.assignment.in_lanes -= len(batch.messages)
        return batch

    def is_transforming(self, assignments: Collection[Assignment]) -> bool:
        """Tell whether a lane has begun a batch of these partitions; one that begins later finds them revoked."""
        if self._concurrent is not None and self._concurrent.is_transforming(assignments):
            return True
        batches = [lane.batch for lane in self._all()]
        return any(batch is not None and batch.assignment in assignments for batch in batches)

    def _put(self, lane: Lane, batch: Batch) -> None:
        self.in_lanes += len(batch.messages)
        batch.assignment.in_lanes += len(batch.messages)
        with self._joining:
            if self.are_partitions and lane.last is not None and lane.last.take_in(batch, self._batch_size):
                return
            lane.last = batch
        lane.put(self._run, lane, batch)

    def _run(self, lane: Lane, batch: Batch) -> None:
        with self._joining:
            if lane.last is batch:
                lane.last = None
        if self._concurrent is not None:
            for part in batch.parts(_CONCURRENT_PART):
                self._concurrent.start(part, partial(self._finished.put, part))
            return
        lane.batch, batch.run_urgent, batch.hand_over = batch, lane.run_urgent, self._finished.put
        try:
            self._process(batch)
        finally:
            if batch.done < len(batch.messages):
                batch.assignment.revoke()  # or later batches would overtake what was left
            self._finished.put(batch)
            lane.batch = None

    def _all(self) -> list[Lane]:
        return [*self._keyed, *list(self._by_partition.values())]
