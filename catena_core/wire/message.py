"""Messages: turn those of Kafka into electrons, and electrons into those of Kafka."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from catena_core.electron import NO_HEADERS, Electron, ReceivedHeaders, header_pairs
from catena_core.errors import CodecError, UsageError
from catena_core.topics import is_topic
from catena_core.wire import codec

Headers = list[tuple[str, bytes | None]]


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message for the producer.

    Attributes:
        topic: The topic.
        value: The value's bytes; ``None``: a tombstone.
        key: The key's bytes.
        headers: The headers, if there are any.
        partition: The partition; ``None``: the key decides.
        timestamp: Milliseconds since the Unix epoch; ``None``: the time of sending.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None
    partition: int | None = None
    timestamp: int | None = None

    @property
    def size(self) -> int:
        """The bytes of its value, its key and its headers."""
        headers = sum(len(name) + len(data or b"") for name, data in self.headers or ())
        return len(self.value or b"") + len(self.key or b"") + headers

    def replace(self, **changes: Any) -> Message:
        """Copy it, with other values for some of its attributes."""
        return msgspec.structs.replace(self, **changes)


# The formats of values. "auto": text and bytes as they are, all else marked with a content type. The others are for topics
# shared with programs that know no such mark: all values have that one form, unmarked.
FORMATS = ("auto", "json", "text", "bytes")

# Stands in place of headers that cannot be read.
UNREADABLE = "catena-unreadable-headers"

# The timestamp of a message that has none, as Kafka's client gives it.
NO_TIMESTAMP = -1

# The most names of topics that a writer remembers as good.
_MOST_TOPICS = 10_000

_decode_json = msgspec.json.Decoder().decode
_CONTENT_TYPE_HEADERS: dict[str, Headers] = {
    kind: [(codec.CONTENT_TYPE, kind.encode())] for kind in (codec.BYTES, codec.JSON, codec.MESSAGE_PACK)
}


def reader(value_format: str) -> Callable[[Any, str, int, int], Electron]:
    """Make the function that reads messages of a format.

    Args:
        value_format: One of :data:`FORMATS`.

    Returns:
        A function from a confluent-kafka message, its topic, partition and offset, which the caller knows already, to an
        electron. It raises :class:`~catena_core.errors.CodecError` for a value that does not match its content type or,
        without one, the format.
    """
    decode = _DECODERS[value_format]
    unmarked = bytes.decode if value_format == "auto" else decode  # other than text goes to `read_any`

    def read(message: Any, topic: str, partition: int, offset: int) -> Electron:
        # Nearly every message has no header, or one that marks JSON: these take a short way.
        try:
            headers = message.headers()
        except SystemError:
            headers = headers_of(message, again=False)
        decoder: Any = (
            unmarked if not headers else _decode_json if headers == _CONTENT_TYPE_HEADERS[codec.JSON] else None
        )
        if decoder is not None:
            key, value = message.key(), message.value()
            try:
                return Electron(
                    None if key is None else key.decode(),
                    None if value is None else decoder(value),
                    None,
                    topic,
                    message.timestamp()[1],
                    partition,
                    offset,
                )
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        return read_any(message, topic, partition, offset)

    def read_any(message: Any, topic: str, partition: int, offset: int) -> Electron:
        key, value = codec.decode_key(message.key()), message.value()
        found = headers_of(message)
        content_type = content_type_of(found)
        pairs = [pair for pair in found if pair[0].lower() != codec.CONTENT_TYPE]
        headers = ReceivedHeaders(pairs) if pairs else NO_HEADERS
        if value is not None:
            try:
                value = decode(value) if content_type is None else codec.decode(value, content_type)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise CodecError(f"the value is not {value_format}: {error}") from error
        return Electron(key, value, None, topic, message.timestamp()[1], partition, offset, headers)

    return read


def content_type_of(headers: Headers) -> str | None:
    """Return the content type that headers name, the last of several; ``None`` if they name none.

    Raises:
        CodecError: They could not be read.
    """
    named = [data or b"" for name, data in headers if name.lower() == codec.CONTENT_TYPE]
    if any(name == UNREADABLE for name, _ in headers):
        raise CodecError("the name of one of its headers is not UTF-8")
    text = named[-1].decode("utf-8", "replace") if named else ""
    return text if codec.media_type(text)[0] is not None else None


def headers_of(message: Any, again: bool = True) -> Headers:
    """Give the headers of a message from Kafka.

    Kafka's client fails at names that are not UTF-8, and leaves a list behind with which the interpreter crashes when asked
    again. Such a message gets a single header :data:`UNREADABLE` in their place.

    Args:
        message: The message.
        again: Whether to ask it; if not, it has failed already.
    """
    if again:
        with suppress(SystemError):
            return message.headers() or []
    message.set_headers([(UNREADABLE, None)])
    return [(UNREADABLE, None)]


def writer(
    value_format: str, default_topic: str | None, default_key: str | None = None, keep_timestamps: bool = False
) -> Callable[[Electron], Message]:
    """Make the function that puts electrons on the wire.

    Args:
        value_format: One of :data:`FORMATS`.
        default_topic: The topic of electrons that name none; ``None``: each must name one.
        default_key: The key of electrons that have none.
        keep_timestamps: Whether a received electron keeps its timestamp.

    Returns:
        A function from an electron to a message; it raises :class:`~catena_core.errors.CodecError` where the electron's key
        cannot be sent, or its value not in this format, and :class:`~catena_core.errors.UsageError` where it has no topic.
    """
    encode = _ENCODERS[value_format]
    marked = value_format == "auto"
    key_of_keyless = None if default_key is None else default_key.encode()
    topics: set[str] = set()  # names that were found to be good

    def write(electron: Electron) -> Message:
        topic, key, value = electron.topic, electron.key, electron.value
        headers = None
        if value is not None:
            if marked:
                value, content_type = codec.encode(value)
                if content_type is not None:
                    headers = _CONTENT_TYPE_HEADERS[content_type]
            else:
                try:
                    value = encode(value)
                except (TypeError, ValueError, OverflowError, RecursionError, msgspec.EncodeError) as error:
                    raise CodecError(f"a {type(value).__name__} cannot be sent as {value_format}: {error}") from error
        if type(key) is str and key.isascii():
            key = key.encode()
        elif key is None:
            key = key_of_keyless
        else:
            key = codec.encode_key(key)
        if topic is None:
            topic = default_topic
            if topic is None:
                raise UsageError("the link has no topic to send to; name one with -o TOPIC")
        elif topic not in topics:
            if not (isinstance(topic, str) and is_topic(topic)):
                raise CodecError(f"{topic!r} is no name of a topic")
            if len(topics) < _MOST_TOPICS:
                topics.add(topic)
        if electron.headers:
            own = (
                electron.headers.pairs if type(electron.headers) is ReceivedHeaders else header_pairs(electron.headers)
            )
            headers = _joined(own, headers, electron.value)
        partition, timestamp = electron.partition, electron.timestamp
        if electron.offset is not None:  # it was received: its old partition and, as a rule, its time do not count
            partition, timestamp = None, timestamp if keep_timestamps and timestamp != NO_TIMESTAMP else None
            if timestamp is None:
                return Message(topic, value, key, headers)
        if partition is not None:
            partition = _whole(partition, "partition", 2**31)
        if timestamp is not None:
            timestamp = _whole(timestamp, "timestamp", 2**63)
        return Message(topic, value, key, headers, partition, timestamp)

    return write


def _joined(own: Headers, mark: Headers | None, value: Any) -> Headers:
    """Add the mark of a value to an electron's own headers; where these name a content type that fits, that one stays.

    Bytes are whatever their sender says. Text, and JSON of the library's making, is UTF-8, whatever he says.
    """
    named = [data or b"" for name, data in own if name.lower() == codec.CONTENT_TYPE]
    if not named:
        return own + (mark or [])
    content_type = named[-1].decode("utf-8", "replace")
    kind, charset = codec.media_type(content_type)
    if kind is not None and isinstance(value, bytes | bytearray | memoryview):
        return own
    if mark is None or kind == codec.media_type((mark[0][1] or b"").decode())[0]:
        if codec.is_utf8(charset):
            return own
        mark = [(codec.CONTENT_TYPE, f"{content_type.partition(';')[0].strip()}; charset=utf-8".encode())]
    return [pair for pair in own if pair[0].lower() != codec.CONTENT_TYPE] + mark


def _whole(number: Any, name: str, end: int) -> int:
    """Check a whole number of an electron; in a transaction it would be too late to set the electron aside."""
    try:
        whole = operator.index(number)
    except TypeError:
        raise CodecError(f"the {name} of an electron is a whole number, not {number!r}") from None
    if not 0 <= whole < end:
        raise CodecError(f"the {name} of an electron is at least 0 and less than {end}, not {whole}")
    return whole


def unmarked_encoder(value_format: str) -> Callable[[Any], bytes] | None:
    """Give the encoder of values that need no mark (``None`` excepted); ``None`` for the format whose values may need one.

    It may raise any error; that of :func:`writer` names the reason. JSON may lack something of the value, so the caller
    looks: see :func:`catena_core.wire.codec.may_lack`.
    """
    if value_format == "json":
        return codec.encode_any_json
    return None if value_format == "auto" else _ENCODERS[value_format]


def _encode_text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    raise TypeError("it is no text; send text, or choose another output_format")


def _encode_bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError("it is no bytes; send bytes, or choose another output_format")


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "auto": lambda data: codec.decode(data, None),
    "json": _decode_json,
    "text": bytes.decode,
    "bytes": bytes,
}
_ENCODERS: dict[str, Callable[[Any], Any]] = {
    "auto": codec.encode,
    "json": codec.encode_plain_json,
    "text": _encode_text,
    "bytes": _encode_bytes,
}
