"""Messages: turn those of Kafka into electrons, and electrons into those of Kafka."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from catena_core.electron import NO_HEADERS, Electron
from catena_core.errors import CodecError, UsageError
from catena_core.wire import codec

Headers = list[tuple[str, bytes]]


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

    def replace(self, **changes: Any) -> Message:
        """Copy it, with other values for some of its attributes."""
        return msgspec.structs.replace(self, **changes)


# The formats of values. "auto": text and bytes as they are, all else marked with a content type. The others are for topics
# shared with programs that know no such mark: all values have that one form, unmarked.
FORMATS = ("auto", "json", "text", "bytes")

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode
_CONTENT_TYPE_HEADERS = {
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
        headers = message.headers()
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
        headers = {name: (data or b"").decode("utf-8", "replace") for name, data in message.headers() or ()}
        content_type = headers.pop(codec.CONTENT_TYPE, None)
        if value is not None:
            try:
                value = decode(value) if content_type is None else codec.decode(value, content_type)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise CodecError(f"the value is not {value_format}: {error}") from error
        return Electron(key, value, None, topic, message.timestamp()[1], partition, offset, headers or NO_HEADERS)

    return read


def writer(
    value_format: str, default_topic: str | None, default_key: str | None = None
) -> Callable[[Electron], Message]:
    """Make the function that puts electrons on the wire.

    Args:
        value_format: One of :data:`FORMATS`.
        default_topic: The topic of electrons that name none; ``None``: each must name one.
        default_key: The key of electrons that have none.

    Returns:
        A function from an electron to a message; it raises :class:`~catena_core.errors.CodecError` where the electron's key
        cannot be sent, or its value not in this format, and :class:`~catena_core.errors.UsageError` where it has no topic.
    """
    encode = _ENCODERS[value_format]
    marked = value_format == "auto"
    key_of_keyless = None if default_key is None else default_key.encode()

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
                except (TypeError, OverflowError, RecursionError, msgspec.EncodeError) as error:
                    raise CodecError(f"a {type(value).__name__} cannot be sent as {value_format}: {error}") from error
        if type(key) is str:
            key = key.encode()
        elif key is None:
            key = key_of_keyless
        else:
            key = codec.encode_key(key)
        if topic is None:
            topic = default_topic
            if topic is None:
                raise UsageError("the link has no topic to send to; name one with -o TOPIC")
        if electron.headers:
            own = [(name, str(text).encode()) for name, text in electron.headers.items()]
            headers = own + headers if headers else own
        if electron.offset is not None:  # it was received: its old partition and time do not count
            return Message(topic, value, key, headers)
        return Message(topic, value, key, headers, electron.partition, electron.timestamp)

    return write


def unmarked_encoder(value_format: str) -> Callable[[Any], bytes] | None:
    """Give the encoder of values that need no mark (``None`` excepted); ``None`` for the format whose values may need one.

    It may raise any error; that of :func:`writer` names the reason.
    """
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
    "json": _encode_json,
    "text": _encode_text,
    "bytes": _encode_bytes,
}
