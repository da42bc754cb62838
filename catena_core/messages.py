"""From Kafka's messages to electrons, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from catena_core import codec
from catena_core.electron import NO_HEADERS, Electron
from catena_core.errors import CodecError

Headers = list[tuple[str, bytes]]


class Message(NamedTuple):
    """What is handed to the producer.

    Attributes:
        topic: The topic.
        value: The value's bytes; ``None``: a tombstone.
        key: The key's bytes.
        headers: The headers, if there are any.
        partition: The partition, if it must be a certain one.
        timestamp: Milliseconds since the Unix epoch, if it is not to be the time of sending.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None
    partition: int | None = None
    timestamp: int | None = None


# How values travel, by the name of the format. "auto": text and bytes as they are, all else marked with a content type.
# The others are for topics shared with programs that know no such mark: values are that and nothing else, unmarked.
FORMATS = ("auto", "json", "text", "bytes")

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode
_CONTENT_TYPE_HEADERS = {
    kind: [(codec.CONTENT_TYPE, kind.encode())] for kind in (codec.BYTES, codec.JSON, codec.MESSAGE_PACK)
}


def reader(value_format: str) -> Callable[[Any], Electron]:
    """Make what reads messages of a format.

    Args:
        value_format: One of :data:`FORMATS`.

    Returns:
        A function from a confluent-kafka message to an electron; it raises :class:`~catena_core.errors.CodecError` for one
        whose value is not what its content type, or else the format, says.
    """
    unmarked = _DECODERS[value_format]

    def read(message: Any) -> Electron:
        headers = message.headers()
        key, value = message.key(), message.value()
        texts, content_type = NO_HEADERS, None
        if headers:
            texts = found = {name: (data or b"").decode("utf-8", "replace") for name, data in headers}
            content_type = found.pop(codec.CONTENT_TYPE, None)
        if value is not None:
            value = unmarked(value) if content_type is None else codec.decode(value, content_type)
        if key is not None:
            key = codec.decode_key(key)
        return Electron(
            key, value, None, message.topic(), message.timestamp()[1], message.partition(), message.offset(), texts
        )

    return read


def writer(value_format: str) -> Callable[[Any], tuple[bytes | None, Headers | None]]:
    """Make what writes values in a format.

    Args:
        value_format: One of :data:`FORMATS`.

    Returns:
        A function from a value to its bytes and the header that marks them, if any; it raises
        :class:`~catena_core.errors.CodecError` for a value that the format cannot carry.
    """
    return _ENCODERS[value_format]


def message_of(
    electron: Electron, topic: str, write: Callable[[Any], tuple[bytes | None, Headers | None]], key: Any = None
) -> Message:
    """Put an electron on the wire.

    Args:
        electron: What is sent.
        topic: Where it goes if it does not say so itself.
        write: What :func:`writer` made.
        key: The key of an electron that has none.

    Raises:
        CodecError: Its key or value cannot be put on the wire.
    """
    value, headers = write(electron.value)
    if electron.headers:
        own = [(name, str(text).encode()) for name, text in electron.headers.items()]
        headers = own + headers if headers else own
    key = electron.key if electron.key is not None else key
    key = key.encode() if type(key) is str else codec.encode_key(key)
    received = electron.offset is not None
    return Message(
        electron.topic or topic,
        value,
        key,
        headers,
        None if received else electron.partition,
        None if received else electron.timestamp,
    )


def _write_auto(value: Any) -> tuple[bytes | None, Headers | None]:
    data, content_type = codec.encode(value)
    return data, None if content_type is None else _CONTENT_TYPE_HEADERS[content_type]


def _write_json(value: Any) -> tuple[bytes | None, None]:
    if value is None:
        return None, None
    try:
        return _encode_json(value), None
    except (TypeError, OverflowError, RecursionError, msgspec.EncodeError) as error:
        raise CodecError(f"a {type(value).__name__} cannot be sent as JSON: {error}") from error


def _write_text(value: Any) -> tuple[bytes | None, None]:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode(), None
    raise CodecError(f"a {type(value).__name__} cannot be sent as text; send text, or choose the format auto or json")


def _write_bytes(value: Any) -> tuple[bytes | None, None]:
    if value is None or isinstance(value, (bytes, bytearray, memoryview)):
        return None if value is None else bytes(value), None
    raise CodecError(f"a {type(value).__name__} cannot be sent as bytes; send bytes, or choose the format auto or json")


def _read_json(data: bytes) -> Any:
    try:
        return _decode_json(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CodecError(f"the value is not JSON: {error}") from error


def _read_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"the value is not text: {error}") from error


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "auto": lambda data: codec.decode(data, None),
    "json": _read_json,
    "text": _read_text,
    "bytes": lambda data: data,
}
_ENCODERS: dict[str, Callable[[Any], tuple[bytes | None, Headers | None]]] = {
    "auto": _write_auto,
    "json": _write_json,
    "text": _write_text,
    "bytes": _write_bytes,
}
