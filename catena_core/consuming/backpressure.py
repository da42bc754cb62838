"""When a partition is paused because too much of it waits, and when it is resumed."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from catena_core.consuming.assignment import Assignment

# In batches, how many of a partition may wait before it is paused, and how few before it is resumed. A pause throws away
# what was fetched ahead, so the two lie well apart, and batches count as no smaller than this.
PAUSE_ABOVE, RESUME_BELOW = 8, 2
_LEAST_UNIT = 50

# The same in bytes.
PAUSE_ABOVE_BYTES, RESUME_BELOW_BYTES = 64 * 1024 * 1024, 16 * 1024 * 1024

# And how many electrons may stand between the first that is not finished and the newest: what is finished beyond a stuck one
# cannot be committed, and is repeated after a crash.
PAUSE_ABOVE_SPAN, RESUME_BELOW_SPAN = 100_000, 50_000


class Pausing:
    """The one place where partitions are paused and resumed, by what waits of them.

    Args:
        consumer: The consumer.
        batch_size: The most electrons that are taken in one go.
    """

    def __init__(self, consumer: Consumer, batch_size: int) -> None:
        self._consumer = consumer
        self._unit = max(batch_size, _LEAST_UNIT)

    @property
    def most_waiting(self) -> int:
        """How many electrons of a partition may wait."""
        return PAUSE_ABOVE * self._unit

    def review(self, assignment: Assignment) -> None:
        """Pause a partition of which too much waits, or resume it when little enough does."""
        if not assignment.paused:
            if self.is_crowded(assignment):
                self._consumer.pause([TopicPartition(*assignment.partition)])
                assignment.paused = True
        elif (
            assignment.waiting < RESUME_BELOW * self._unit
            and assignment.bytes_waiting < RESUME_BELOW_BYTES
            and assignment.tracker.span < RESUME_BELOW_SPAN
        ):
            self._consumer.resume([TopicPartition(*assignment.partition)])
            assignment.paused = False

    def is_crowded(self, assignment: Assignment) -> bool:
        """Whether so much of a partition waits that no more of it should be read, unless that is so already."""
        if assignment.paused:
            return False
        return (
            assignment.waiting > PAUSE_ABOVE * self._unit
            or assignment.bytes_waiting > PAUSE_ABOVE_BYTES
            or assignment.tracker.span > PAUSE_ABOVE_SPAN
        )

    def release(self, assignments: list[Assignment]) -> None:
        """Resume partitions that leave: Kafka's client remembers a pause, and one that came back would stay silent for ever."""
        paused = [TopicPartition(*assignment.partition) for assignment in assignments if assignment.paused]
        if paused:
            self._consumer.resume(paused)
