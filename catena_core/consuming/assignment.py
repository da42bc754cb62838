"""What a link knows of a partition for as long as it has it, and how its electrons travel to lanes and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from catena_core.consuming.offset_tracker import OffsetTracker
from catena_core.kafka.partition import Partition
from catena_core.wire.message import Message

# What one electron of a partition sent: a message, or a call to make once all before it has arrived.
Output = Message | Callable[[Exception | None], None]


class Assignment:
    """A partition for as long as this instance has it. Only the thread that owns the consumer changes it.

    Attributes:
        partition: Topic and number.
        replaying: Whether its end, as it was at the time of assignment, has not been reached yet.
        revoked: Set when its electrons are to be left where they are: another instance gets them.
        paused: Whether Kafka is asked for no more of it at the moment.
        waiting: How many of its electrons were read and are not finished.
        in_lanes: How many of them lanes have.
        bytes_waiting: How large their values are, in bytes.
        tracker: Which of them are finished.
        position: Up to where it was finished when last looked at; -1: not known.
        lag: How many electrons were not finished then; -1: not known. Other threads may read it.
        committed: The offset that was committed last, or else from which it was read; -1: not known.
        seek_to: Where the consumer must be sent before anything is read; -1: nowhere.
        outputs: In ``exactly_once``: what its finished electrons sent, with their offsets, until the transaction is committed.
    """

    __slots__ = (
        "bytes_waiting",
        "committed",
        "in_lanes",
        "lag",
        "outputs",
        "partition",
        "paused",
        "position",
        "replaying",
        "revoked",
        "seek_to",
        "tracker",
        "waiting",
    )

    def __init__(self, partition: Partition, replaying: bool) -> None:
        self.partition = partition
        self.replaying = replaying
        self.revoked = False
        self.paused = False
        self.waiting = 0
        self.in_lanes = 0
        self.position = -1
        self.lag = -1
        self.bytes_waiting = 0
        self.tracker = OffsetTracker()
        self.committed = -1
        self.seek_to = -1
        self.outputs: list[tuple[int, Output]] = []


class Batch:
    """Messages of one partition, handed to one lane in one go.

    Attributes:
        assignment: Their partition.
        messages: The messages, in order.
        offsets: Their offsets.
        bytes: How large their values are, in bytes.
        done: How many of them, from the first on, have been transformed and their outputs sent.
        outputs: In ``exactly_once``: what they sent, with their offsets.
    """

    __slots__ = ("assignment", "bytes", "done", "messages", "offsets", "outputs")

    def __init__(self, assignment: Assignment, messages: list[Any], offsets: list[int]) -> None:
        self.assignment = assignment
        self.messages = messages
        self.offsets = offsets
        self.bytes = sum(map(len, messages))
        self.done = 0
        self.outputs: list[tuple[int, Output]] = []
