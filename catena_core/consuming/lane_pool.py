"""Which lane an electron goes to, and how it comes back to the thread that owns the consumer."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from catena_core.consuming.assignment import Batch
from catena_core.consuming.lanes import Lane
from catena_core.kafka.partition import Partition


class LanePool:
    """The lanes of one consumer: so many for all partitions, or one for each partition.

    Only the thread that owns the consumer hands out batches and takes them back.

    Args:
        lanes: How many lanes electrons are spread over by key, or ``"partition"``.
        process: Called in a lane for each batch.
        idle: Called in a lane whenever it has nothing to do; it may find more work and queue it.

    Attributes:
        are_partitions: Whether each partition has a lane.
        single: The lane, where there is just one for all partitions, from :meth:`open` on.
        in_lanes: How many electrons lanes have.
    """

    def __init__(self, lanes: int | str, process: Callable[[Batch], None], idle: Callable[[], None]) -> None:
        self._process = process
        self._idle = idle
        self._number = 0 if lanes == "partition" else int(lanes)
        self._keyed: list[Lane] = []
        self._by_partition: dict[Partition, Lane] = {}
        self._finished: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self.are_partitions = not self._number
        self.single: Lane | None = None
        self.in_lanes = 0

    def open(self) -> None:
        """Start the lanes for all partitions; from now on they call."""
        self._keyed = [Lane(f"lane {number}", self._idle) for number in range(self._number)]
        self.single = self._keyed[0] if self._number == 1 else None

    def assigned(self, partition: Partition) -> None:
        """Have a lane for a partition."""
        if self.are_partitions:
            self._by_partition[partition] = Lane(f"lane {partition[0]}/{partition[1]}", self._idle)

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
        """How many calls wait in each lane, by its name. Other threads may ask."""
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

    def finished(self, timeout: float = 0) -> Batch | None:
        """The next batch that a lane is done with, as far as it came; ``None`` when there is none within so many seconds."""
        try:
            batch = self._finished.get(timeout=timeout) if timeout else self._finished.get_nowait()
        except queue.Empty:
            return None
        self.in_lanes -= len(batch.messages)
        batch.assignment.in_lanes -= len(batch.messages)
        return batch

    def _put(self, lane: Lane, batch: Batch) -> None:
        self.in_lanes += len(batch.messages)
        batch.assignment.in_lanes += len(batch.messages)
        lane.put(self._run, batch)

    def _run(self, batch: Batch) -> None:
        try:
            self._process(batch)
        finally:
            self._finished.put(batch)

    def _all(self) -> list[Lane]:
        return [*self._keyed, *list(self._by_partition.values())]
