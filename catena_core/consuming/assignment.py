"""The state of a partition for as long as this instance has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import TopicPartition

from catena_core.consuming.offset_tracker import OffsetTracker
from catena_core.kafka.partition import Partition
from catena_core.wire.message import Message

# Bytes of memory that an output takes beside its content.
_OVERHEAD = 300

# What the metadata of a committed offset begin with: the id of its topic follows.
_TOPIC_ID = "topic-id="

# One output of an electron: a message, or a call to make once all messages before it have arrived.
Output = Message | Callable[[Exception | None], None]


class Assignment:
    """A partition that this instance has. Only the thread that owns the consumer changes it, but a lane may revoke it, too.

    Attributes:
        partition: Topic and number.
        replaying: Whether its end, as it was at the time of assignment, has not been reached yet.
        revoked: Set when another instance gets its electrons, or the next start of the link: lanes leave them where they are.
        paused: Whether the consumer reads no more of it at the moment.
        waiting: The number of its electrons that were read and are not finished.
        in_lanes: The number of those that lanes have.
        bytes_waiting: The size of their values, in bytes.
        tracker: Tells which of them are finished.
        position: The offset up to which it was finished at the last look; -1: not known.
        lag: The number of unfinished electrons then; -1: not known. Other threads may read it.
        committed: The offset that was committed last, or else from which it was read; -1: not known.
        resume_at: The committed offset from which it was to be read, 0 where there was none; ``None``: not looked up yet.
        seek_to: The offset to which the consumer must be sent before anything that it reads counts; ``None``: none.
        topic_id: The id of its topic; an empty text: not known.
        verified: The offset up to which, when last looked at, it was read from the topic of this id; -1: not looked at.
        old_until: The same of its topic before, if that was deleted and made again; -1: nothing is sure to be of that one.
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
        "old_until",
        "output_bytes",
        "outputs",
        "partition",
        "paused",
        "position",
        "replaying",
        "resume_at",
        "revoked",
        "seek_to",
        "starts",
        "topic_id",
        "tracker",
        "verified",
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
        self.resume_at: int | None = None
        self.seek_to: int | None = None
        self.topic_id = ""
        self.verified = self.old_until = -1
        self.outputs: list[tuple[int, Output]] = []
        self.output_bytes = 0
        self.starts = 0
        self.interrupts = False

    def revoke(self) -> None:
        """Have lanes leave its electrons where they are, from the next one on."""
        self.revoked = self.interrupts = True

    def place(self, offset: int) -> TopicPartition:
        """Give an offset to commit, with the id of the topic that it belongs to."""
        metadata = (_TOPIC_ID + self.topic_id,) if self.topic_id else ()
        return TopicPartition(*self.partition, offset, *metadata)

    def start_again(self, offset: int) -> None:
        """Note that its log starts again at an offset: those before are of a topic that is gone."""
        self._leave_topic(self.tracker.next_dispatch)
        self.committed = self.position = offset

    def begin_again(self, topic_id: str) -> None:
        """Note that its topic is another one now, which is to be read from its beginning.

        Some of its electrons may be of that one already, and come again.
        """
        self._leave_topic(self.verified)
        self.topic_id = topic_id
        self.tracker = OffsetTracker()
        self.committed = -1
        self.position = self.resume_at = 0

    def of_old_topic(self, outputs: Sequence[tuple[int, Output]]) -> list[tuple[int, Output]]:
        """Give those outputs that are sure to be of the topic before, for the next commit: the others come again."""
        return [(-1, output) for offset, output in outputs if offset < max(self.old_until, 0)]

    def _leave_topic(self, old_until: int) -> None:
        self.starts += 1
        self.old_until, self.verified, self.topic_id = old_until, -1, ""
        self.outputs = self.of_old_topic(self.outputs)
        self.output_bytes = sum(size_of(output) for _, output in self.outputs)


def topic_id_of(place: TopicPartition) -> str:
    """Return the id of the topic that a committed offset belongs to; an empty text if that does not say."""
    found = place.metadata or ""
    return found.removeprefix(_TOPIC_ID) if found.startswith(_TOPIC_ID) else ""


def size_of(output: Output) -> int:
    """Give the bytes of memory, roughly, that an output takes."""
    if not isinstance(output, Message):
        return _OVERHEAD
    return _OVERHEAD + (len(output.value or b"") if output.headers is None else output.size)
