"""The state of a partition for as long as this instance has it."""

from __future__ import annotations

from collections.abc import Callable

from catena_core.consuming.offset_tracker import OffsetTracker
from catena_core.kafka.partition import Partition
from catena_core.wire.message import Message

# Bytes of memory that an output takes beside its content.
_OVERHEAD = 300

# One output of an electron: a message, or a call to make once all messages before it have arrived.
Output = Message | Callable[[Exception | None], None]


class Assignment:
    """A partition that this instance has. Only the thread that owns the consumer changes it.

    Attributes:
        partition: Topic and number.
        replaying: Whether its end, as it was at the time of assignment, has not been reached yet.
        revoked: Set when another instance gets its electrons: lanes leave them where they are.
        paused: Whether the consumer reads no more of it at the moment.
        waiting: The number of its electrons that were read and are not finished.
        in_lanes: The number of those that lanes have.
        bytes_waiting: The size of their values, in bytes.
        tracker: Tells which of them are finished.
        position: The offset up to which it was finished at the last look; -1: not known.
        lag: The number of unfinished electrons then; -1: not known. Other threads may read it.
        committed: The offset that was committed last, or else from which it was read; -1: not known.
        seek_to: The offset to which the consumer must be sent before anything is read; -1: none.
        outputs: In ``exactly_once``: the outputs of its finished electrons, with their offsets, until they are committed.
        output_bytes: Their size, in bytes.
        starts: How often its log has started again since the assignment, because its topic was deleted and made again.
        interrupts: Whether lanes must look, before its next electron, for a reason not to transform it yet, or at all.
    """

    __slots__ = (
        "bytes_waiting",
        "committed",
        "in_lanes",
        "interrupts",
        "lag",
        "output_bytes",
        "outputs",
        "partition",
        "paused",
        "position",
        "replaying",
        "revoked",
        "seek_to",
        "starts",
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
        self.output_bytes = 0
        self.starts = 0
        self.interrupts = False

    def revoke(self) -> None:
        """Have lanes leave its electrons where they are, from the next one on."""
        self.revoked = self.interrupts = True

    def start_again(self, offset: int) -> None:
        """Note that its log starts again at an offset: those before are of a topic that is gone.

        Outputs of that topic's electrons go out with the next commit.
        """
        self.starts += 1
        self.committed = self.position = offset
        self.outputs = [(-1, output) for _, output in self.outputs]


def size_of(output: Output) -> int:
    """Give the bytes of memory, roughly, that an output takes."""
    if not isinstance(output, Message):
        return _OVERHEAD
    return _OVERHEAD + (len(output.value or b"") if output.headers is None else output.size)
