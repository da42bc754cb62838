"""The contract of delivery: when an electron's outputs count as sent, and when its offset is committed.

All kinds of delivery commit the same offsets, those after the longest finished run of each partition, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from confluent_kafka import Consumer, KafkaError

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.consuming.starting_points import StartingPoints
from catena_core.wire.message import Message

# The errors of a commit that meets a rebalance: another member has the partitions now, and reads the electrons again.
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


class Sink(Protocol):
    """Takes the outputs of electrons."""

    def send(self, message: Message) -> None:
        """Send one message."""

    def send_plain(self, topic: str, value: bytes, key: bytes) -> None:
        """Send a message of a value and a key."""

    def then(self, call: Callable[[Exception | None], None]) -> None:
        """Make a call, which must not block, once all earlier messages have arrived, with the first failure or ``None``."""


class Delivery(Protocol):
    """Brings outputs and offsets to Kafka."""

    @property
    def transactional(self) -> bool:
        """True if outputs and offsets go out together, so that a transform cannot wait for its outputs."""

    @property
    def silent_for(self) -> float:
        """The seconds for which outputs have waited and Kafka has taken none."""

    def attach(self, consumer: Consumer, starts: StartingPoints) -> None:
        """Set the consumer whose offsets are committed, and what knows of topics that were made again."""

    def sink(self, batch: Batch | None) -> Sink:
        """Give the sink of a batch; ``None``: of outputs that belong to no electron, such as the generator's."""

    def maybe_commit(self, assignments: Collection[Assignment]) -> None:
        """Commit finished electrons if it is time; the consumer's thread calls it again and again."""

    def flush_and_commit(self, assignments: Collection[Assignment], deadline: float) -> bool:
        """Commit all finished electrons now, because these partitions leave; give up at the deadline (monotonic clock).

        Returns:
            Whether all of them are committed.
        """

    def close(self) -> None:
        """Take no further outputs that belong to no electron; those before can still be committed."""

    def abandon(self) -> None:
        """Leave the client as it is from now on: Kafka does not answer, and the link ends without waiting for it."""

    def commit_failed(self, error: KafkaError, assignments: Collection[Assignment]) -> None:
        """Note that an asynchronous commit failed."""

    def refused(self, reason: str, message: Message) -> None:
        """Replace an output that Kafka will never take by its dead letter."""
