"""The wire format of keys and values.

Text and bytes travel as they are, so that any Kafka client can talk to a link. Values of JSON's own types travel as JSON.
Everything else (tuples, sets, dates, dataclasses, bytes inside of something) travels as MessagePack, whose extension
types (https://github.com/msgpack/msgpack/blob/master/spec.md#extension-types) bring it back as it was sent. A
``content-type`` header names the form; without one, bytes that are UTF-8 are text. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
import sys
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from catena_core.errors import CodecError

CONTENT_TYPE = "content-type"
BYTES = "application/octet-stream"
JSON = "application/json"
MESSAGE_PACK = "application/vnd.msgpack"

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode

_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1


def encode(value: Any) -> tuple[bytes | None, str | None]:
    """Turn a value into bytes for Kafka.

    Args:
        value: ``None``, text, bytes, or anything made of JSON types, tuples, sets, dates, decimals, UUIDs and dataclasses.

    Returns:
        The bytes (``None`` for ``None``: a tombstone) and their content type (``None`` for text).

    Raises:
        CodecError: The value holds something that no receiver could rebuild.
    """
    if value is None:
        return None, None
    if type(value) is str:
        return value.encode(), None
    if type(value) is bytes:
        return value, BYTES
    if _is_json(value):
        return _encode_json(value), JSON
    return msgspec.msgpack.encode(_pack(value)), MESSAGE_PACK


def decode(data: bytes | None, content_type: str | None) -> Any:
    """Turn bytes from Kafka back into the value that was sent.

    Args:
        data: The bytes of the message.
        content_type: Its ``content-type`` header; ``None`` when it has none.

    Raises:
        CodecError: The bytes do not match their content type.
    """
    if data is None:
        return None
    try:
        if content_type is None:
            return data.decode()
        if content_type == JSON:
            return _decode_json(data)
        if content_type == MESSAGE_PACK:
            return msgspec.msgpack.decode(data, ext_hook=_unpack)
    except UnicodeDecodeError:
        return data
    except (
        msgspec.DecodeError,
        RecursionError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ) as error:
        raise CodecError(f"a value marked {content_type} cannot be read: {error}") from error
    return data


def encode_key(key: Any) -> bytes | None:
    """Turn a key into bytes: text and bytes as they are, other values as JSON, so equal keys get equal bytes.

    Raises:
        CodecError: The key is neither text nor bytes nor made of JSON types.
    """
    if key is None or type(key) is bytes:
        return key
    if type(key) is str:
        return key.encode()
    if not _is_json(key):
        raise CodecError(
            f"a key must be text, bytes or JSON, so that equal keys give equal bytes, not {type(key).__name__}"
        )
    return msgspec.json.encode(key, order="deterministic")


def decode_key(data: bytes | None) -> str | bytes | None:
    """Turn a key's bytes into text, or leave them bytes when they are not UTF-8."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _is_json(value: Any) -> bool:
    """Tell whether JSON alone would bring this value back as it is."""
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        items = value.values()
    elif kind is list:
        items = value
    else:
        return _is_json_scalar(value)
    # In line for each kind: a call for each item would take three times as long.
    for item in items:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not _LEAST_INTEGER <= item <= _GREATEST_INTEGER:
                return False
        elif not (_is_json(item) if kind is dict or kind is list else _is_json_scalar(item)):
            return False
    return True


def _is_json_scalar(value: Any) -> bool:
    kind: type = type(value)
    if kind is int:
        return bool(_LEAST_INTEGER <= value <= _GREATEST_INTEGER)
    if kind is float:
        return math.isfinite(value)
    return kind is str or kind is bool or value is None


def _pack(value: Any) -> Any:
    """Rewrite a value into MessagePack's own types and extension types."""
    kind = type(value)
    if kind in (str, bool, float, bytes) or value is None:
        return value
    if kind is int:
        return value if _LEAST_INTEGER <= value <= _GREATEST_INTEGER else _extension(_INTEGER, str(value))
    if kind is list:
        return [_pack(item) for item in value]
    if kind is dict:
        if all(type(key) in (str, bytes) for key in value):
            return {key: _pack(item) for key, item in value.items()}
        return _extension(_MAPPING, [[_pack(key), _pack(item)] for key, item in value.items()])
    if kind in _CODE_OF:
        code, reduce = _CODE_OF[kind]
        return _extension(code, reduce(value))
    if dataclasses.is_dataclass(value):
        fields = {item.name: _pack(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return _extension(_DATACLASS, [kind.__module__, kind.__qualname__, fields])
    raise CodecError(
        f"a {kind.__module__}.{kind.__qualname__} cannot be sent; send text, bytes, numbers, lists, tuples, sets, "
        "dictionaries, dates or dataclasses"
    )


def _extension(code: int, content: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, msgspec.msgpack.encode(content))


def _unpack(code: int, data: memoryview) -> Any:
    content = msgspec.msgpack.decode(data, ext_hook=_unpack)
    if code == _DATACLASS:
        return _rebuild(*content)
    if code == _MAPPING:
        return dict(content)
    if code == _INTEGER:
        return int(content)
    return _BUILD[code](content)


def _rebuild(module: str, qualified_name: str, fields: dict[str, Any]) -> Any:
    """Rebuild a dataclass, if the receiver has imported the class already: a message must not import code."""
    kind: Any = sys.modules[module]
    for name in qualified_name.split("."):
        kind = getattr(kind, name)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"{module}.{qualified_name} is not a dataclass")
    result = object.__new__(kind)
    for item in dataclasses.fields(kind):
        object.__setattr__(result, item.name, fields[item.name])
    return result


_DATACLASS, _MAPPING, _INTEGER = 1, 2, 3

_Reduce = Callable[[Any], Any]
_EXTENSIONS: tuple[tuple[int, type, _Reduce, _Reduce], ...] = (
    (4, tuple, lambda value: [_pack(item) for item in value], tuple),
    (5, set, lambda value: [_pack(item) for item in value], set),
    (6, frozenset, lambda value: [_pack(item) for item in value], frozenset),
    (7, datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    (8, datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    (9, datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    (
        10,
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda content: datetime.timedelta(*content),
    ),
    (11, decimal.Decimal, str, decimal.Decimal),
    (12, uuid.UUID, str, uuid.UUID),
)
_CODE_OF: dict[type, tuple[int, _Reduce]] = {kind: (code, reduce) for code, kind, reduce, _ in _EXTENSIONS}
_BUILD: dict[int, _Reduce] = {code: build for code, _, _, build in _EXTENSIONS}
