"""A dead letter: a message as it came, with the reason of its failure in headers.

The one place that names these headers: links write them, ``catena dead-letters`` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catena_core.errors import message_of
from catena_core.text import redacted
from catena_core.wire.message import Headers, Message, headers_of

ERROR = "error"
ERROR_TYPE = "error-type"
LINK = "link"
ORIGINAL_TOPIC = "original-topic"
ORIGINAL_PARTITION = "original-partition"
ORIGINAL_OFFSET = "original-offset"
ORIGINAL_TIMESTAMP = "original-timestamp"
ATTEMPTS = "attempts"
FAILED_AT = "failed-at"

# All of them have this prefix, so that a message's own headers survive. Without it they are added where the message has no
# header of that name, for readers that know the names of old; ADDED lists those.
PREFIX = "dead-letter-"
ADDED = f"{PREFIX}added"

# A message is given these when it becomes a dead letter, and loses them when it is replayed.
REASON_HEADERS = frozenset(
    {
        ERROR,
        ERROR_TYPE,
        LINK,
        ORIGINAL_TOPIC,
        ORIGINAL_PARTITION,
        ORIGINAL_OFFSET,
        ORIGINAL_TIMESTAMP,
        ATTEMPTS,
        FAILED_AT,
    }
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
        original_timestamp: The timestamp it had where it came from, in milliseconds since 1970.
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
    original_timestamp: int | None = None

    @property
    def position(self) -> Position:
        """Topic, partition and offset of the letter itself."""
        return self.topic, self.partition, self.offset


def from_electron(topic: str, message: Any, error: BaseException, link: str, attempts: int) -> Message:
    """Make the dead letter of an electron that a link could not transform.

    Args:
        topic: The topic of dead letters.
        message: The message as it came from Kafka.
        error: Why it failed.
        link: The class of the link.
        attempts: How often it was tried.
    """
    timestamp = message.timestamp()[1]
    reason = _reason(error, link, attempts, message.topic(), message.partition(), message.offset(), timestamp)
    own = _without_letter_of(headers_of(message), message.topic())
    return Message(topic, message.value(), message.key(), _with_reason(own, reason))


def from_output(topic: str, output: Message, error: BaseException, link: str) -> Message:
    """Make the dead letter of a message that a link sent and Kafka refuses.

    Args:
        topic: The topic of dead letters.
        output: The message.
        error: Why Kafka refuses it.
        link: The class of the link.
    """
    reason = _reason(error, link, 1, output.topic, output.partition, None, output.timestamp)
    own = _without_letter_of(output.headers or [], output.topic)
    return Message(topic, output.value, output.key, _with_reason(own, reason))


def without_value(letter: Message) -> Message:
    """Leave out the value of a dead letter that is itself too large; its headers say where the original is."""
    note = f"{len(letter.value or b'')} bytes, too large for {letter.topic}".encode()
    headers = [*(letter.headers or ()), (PREFIX + VALUE_LEFT_OUT, note), (VALUE_LEFT_OUT, note)]
    return letter.replace(value=None, headers=headers)


def parse(message: Any) -> DeadLetter:
    """Read the headers of a dead letter; leave out those that are missing or malformed."""
    headers = {name: (data or b"").decode("utf-8", "replace") for name, data in headers_of(message)}
    replays = _number(headers.get(PREFIX + REPLAYED)) or _number(headers.get(REPLAYED)) or 0
    if ADDED in headers:
        headers = {name.removeprefix(PREFIX): text for name, text in headers.items() if name.startswith(PREFIX)}
    return DeadLetter(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        failed_at=_seconds(headers.get(FAILED_AT)) or message.timestamp()[1] / 1000,
        link=headers.get(LINK),
        original_topic=headers.get(ORIGINAL_TOPIC),
        original_partition=_number(headers.get(ORIGINAL_PARTITION)),
        original_offset=_number(headers.get(ORIGINAL_OFFSET)),
        original_timestamp=_number(headers.get(ORIGINAL_TIMESTAMP)),
        error_type=headers.get(ERROR_TYPE),
        error=headers.get(ERROR),
        attempts=_number(headers.get(ATTEMPTS)),
        replays=replays,
        complete=VALUE_LEFT_OUT not in headers,
    )


def origin_of(message: Message) -> str:
    """Return the topic that a dead letter of a link's own making came from; that of dead letters if it does not say."""
    headers = dict(message.headers or ())
    topic = headers.get(PREFIX + ORIGINAL_TOPIC) or headers.get(ORIGINAL_TOPIC) or b""
    return topic.decode("utf-8", "replace") or message.topic


def is_marker(message: Any) -> bool:
    """Tell whether a message in a topic of dead letters only lists replayed ones."""
    # A message that brought such a header along and then failed has an error besides.
    names = {name for name, _data in headers_of(message)}
    return MARKER in names and not {ERROR, PREFIX + ERROR} & names


def replayed_headers(letter: DeadLetter, message: Any) -> list[tuple[str, bytes | None]]:
    """Give the headers of a replayed message: as it first came, and how often it was replayed."""
    headers, count = headers_of(message), str(letter.replays + 1).encode()
    if any(name == ADDED for name, _data in headers):
        own = [(name, data) for name, data in _own(headers) if name != PREFIX + REPLAYED]
        return [*own, (PREFIX + REPLAYED, count)]
    own = [(name, data) for name, data in headers if name not in REASON_HEADERS and name != REPLAYED]
    return [*own, (REPLAYED, count)]


def _without_letter_of(headers: Headers, topic: str) -> Headers:
    """Leave out the headers of an earlier dead letter of a message that is back in the topic where it failed.

    Elsewhere they are part of the message: a link that reads dead letters may fail, too, and a replay gives the letter back.
    """
    origins = [data for name, data in headers if name == PREFIX + ORIGINAL_TOPIC]
    return _own(headers) if origins and origins[-1] == topic.encode() else list(headers)


def _own(headers: Headers) -> Headers:
    """Leave out the headers of the last dead letter, but for the count of replays.

    They follow the message's own, so of each name only the last one is left out.
    """
    added = next((data or b"" for name, data in reversed(headers) if name == ADDED), None)
    if added is None:
        return list(headers)
    ours = {ADDED, *(PREFIX + name for name in REASON_HEADERS), *added.decode("utf-8", "replace").split(",")}
    own: Headers = []
    for name, data in reversed(headers):
        if name in ours:
            ours.remove(name)
        else:
            own.append((name, data))
    return own[::-1]


def _with_reason(own: Headers, reason: Mapping[str, str]) -> Headers:
    """Add the headers of a reason to a message's own, among which may be those of an earlier letter."""
    taken = {name for name, _data in _own(own)}
    encoded = {name: text.encode("utf-8", "replace") for name, text in reason.items()}
    plain = [(name, data) for name, data in encoded.items() if name not in taken]
    names = ",".join(name for name, _data in plain).encode()
    return [*own, *plain, *((PREFIX + name, data) for name, data in encoded.items()), (ADDED, names)]


def _reason(
    error: BaseException,
    link: str,
    attempts: int,
    topic: str,
    partition: int | None,
    offset: int | None,
    timestamp: int | None,
) -> dict[str, str]:
    reason = {
        ERROR: redacted(message_of(error)[: 10 * _LONGEST_REASON])[:_LONGEST_REASON],
        ERROR_TYPE: type(error).__name__,
        LINK: link,
        ORIGINAL_TOPIC: topic,
        ORIGINAL_PARTITION: partition,
        ORIGINAL_OFFSET: offset,
        ORIGINAL_TIMESTAMP: timestamp,
        ATTEMPTS: attempts,
        FAILED_AT: f"{time.time():.3f}",
    }
    return {name: str(item) for name, item in reason.items() if item is not None}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


def _seconds(text: str | None) -> float | None:
    """Read seconds since 1970, if they are within the range of a calendar."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < 1e11 else None
