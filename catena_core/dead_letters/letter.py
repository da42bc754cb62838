"""A dead letter: a message as it came, with the reason of its failure in headers.

The one place that names these headers: links write them, ``catena dead-letters`` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catena_core.wire.message import Headers, Message

ERROR = "error"
ERROR_TYPE = "error-type"
LINK = "link"
ORIGINAL_TOPIC = "original-topic"
ORIGINAL_PARTITION = "original-partition"
ORIGINAL_OFFSET = "original-offset"
ATTEMPTS = "attempts"
FAILED_AT = "failed-at"

# A message is given these when it becomes a dead letter, and loses them when it is replayed.
REASON_HEADERS = frozenset(
    {ERROR, ERROR_TYPE, LINK, ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, ATTEMPTS, FAILED_AT}
)
# Counts the replays of a message; if it fails again, its next dead letter keeps the count.
REPLAYED = "replayed"
# Marks a letter without its value, which was too large for the topic.
VALUE_LEFT_OUT = "value-left-out"
# Marks a message in a topic of dead letters that is no letter: it lists those that were replayed.
MARKER = "dead-letter-marker"

# Longer texts of errors are cut: they may hold whole documents.
_LONGEST_REASON = 1000

Position = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The headers of one dead letter, without its key and value.

    Attributes:
        topic: The topic of dead letters that holds it.
        partition: The partition there.
        offset: The offset there.
        failed_at: When it was given up, in seconds since 1970.
        link: The link that gave it up; this and the next ones are ``None`` where the letter does not say.
        original_topic: The topic it came from.
        original_partition: The partition it came from.
        original_offset: The offset it had there.
        error_type: The name of the exception's class.
        error: The exception's text.
        attempts: How often it was tried.
        replays: How often it had been replayed before it failed this time.
        complete: Whether it has its value; without it, it cannot be replayed, since it would be taken for a tombstone.
    """

    topic: str
    partition: int
    offset: int
    failed_at: float
    link: str | None
    original_topic: str | None
    original_partition: int | None
    original_offset: int | None
    error_type: str | None
    error: str | None
    attempts: int | None
    replays: int
    complete: bool

    @property
    def position(self) -> Position:
        """Topic, partition and offset of the letter itself."""
        return self.topic, self.partition, self.offset


def from_electron(topic: str, message: Any, error: Exception, link: str, attempts: int) -> Message:
    """Make the dead letter of an electron that a link could not transform.

    Args:
        topic: The topic of dead letters.
        message: The message as it came from Kafka.
        error: Why it failed.
        link: The class of the link.
        attempts: How often it was tried.
    """
    reason = _reason(error, link, attempts, message.topic(), message.partition(), message.offset())
    own = [(name, data) for name, data in message.headers() or () if name not in reason]
    return Message(topic, message.value(), message.key(), own + _encoded(reason))


def from_output(topic: str, output: Message, error: Exception, link: str) -> Message:
    """Make the dead letter of a message that a link sent and Kafka refuses.

    Args:
        topic: The topic of dead letters.
        output: The message.
        error: Why Kafka refuses it.
        link: The class of the link.
    """
    reason = _reason(error, link, 1, output.topic, output.partition, None)
    return Message(topic, output.value, output.key, [*(output.headers or ()), *_encoded(reason)])


def without_value(letter: Message) -> Message:
    """Leave out the value of a dead letter that is itself too large; its headers say where the original is."""
    note = (VALUE_LEFT_OUT, f"{len(letter.value or b'')} bytes, too large for {letter.topic}".encode())
    return letter.replace(value=None, headers=[*(letter.headers or ()), note])


def parse(message: Any) -> DeadLetter:
    """Read the headers of a dead letter; leave out those that are missing or malformed."""
    headers = {name: (data or b"").decode("utf-8", "replace") for name, data in message.headers() or ()}
    return DeadLetter(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        failed_at=_seconds(headers.get(FAILED_AT)) or message.timestamp()[1] / 1000,
        link=headers.get(LINK),
        original_topic=headers.get(ORIGINAL_TOPIC),
        original_partition=_number(headers.get(ORIGINAL_PARTITION)),
        original_offset=_number(headers.get(ORIGINAL_OFFSET)),
        error_type=headers.get(ERROR_TYPE),
        error=headers.get(ERROR),
        attempts=_number(headers.get(ATTEMPTS)),
        replays=_number(headers.get(REPLAYED)) or 0,
        complete=VALUE_LEFT_OUT not in headers,
    )


def is_marker(message: Any) -> bool:
    """Tell whether a message in a topic of dead letters only lists replayed ones."""
    # A message that brought such a header along and then failed has an error besides.
    names = {name for name, _data in message.headers() or ()}
    return MARKER in names and ERROR not in names


def replayed_headers(letter: DeadLetter, message: Any) -> list[tuple[str, bytes | None]]:
    """Give the headers of a replayed message: as it first came, and how often it was replayed."""
    own = [(name, data) for name, data in message.headers() or () if name not in REASON_HEADERS and name != REPLAYED]
    return [*own, (REPLAYED, str(letter.replays + 1).encode())]


def _reason(
    error: Exception, link: str, attempts: int, topic: str, partition: int | None, offset: int | None
) -> dict[str, str]:
    reason = {
        ERROR: str(error)[:_LONGEST_REASON],
        ERROR_TYPE: type(error).__name__,
        LINK: link,
        ORIGINAL_TOPIC: topic,
        ORIGINAL_PARTITION: partition,
        ORIGINAL_OFFSET: offset,
        ATTEMPTS: attempts,
        FAILED_AT: f"{time.time():.3f}",
    }
    return {name: str(item) for name, item in reason.items() if item is not None}


def _encoded(reason: Mapping[str, str]) -> Headers:
    return [(name, text.encode("utf-8", "replace")) for name, text in reason.items()]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


def _seconds(text: str | None) -> float | None:
    """Read seconds since 1970, if they are within the range of a calendar."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < 1e11 else None
