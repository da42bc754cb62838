"""The wire format of keys and values.

Text and bytes travel as they are, so that any Kafka client can talk to a link. Values of JSON's own types travel as JSON.
Everything else (tuples, sets, dates, dataclasses, bytes inside of something) travels as MessagePack, whose extension
types (https://github.com/msgpack/msgpack/blob/master/spec.md#extension-types) bring it back as it was sent. A
``content-type`` header names the form; without one, bytes that are UTF-8 are text. Nothing is ever unpickled.
"""

from __future__ import annotations

import codecs
import collections
import dataclasses
import datetime
import decimal
import functools
import math
import sys
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from catena_core.errors import CodecError
from catena_core.wire.simpler import TWINS, attrs_names, fields_of, is_record, parts, simpler, simplified

CONTENT_TYPE = "content-type"
BYTES = "application/octet-stream"
JSON = "application/json"
MESSAGE_PACK = "application/vnd.msgpack"
_TEXT = "text/plain"
_PACKED = frozenset({MESSAGE_PACK, "application/msgpack", "application/x-msgpack"})

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode

# Within keys.
_WRITTEN_AS_TEXT = (uuid.UUID, decimal.Decimal, datetime.date, datetime.time)

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
    try:
        if type(value) is str:
            return value.encode(), None
        if type(value) is bytes:
            return value, BYTES
        if _is_json(value):
            return _encode_json(value), JSON
        form = simplified(value)
        if type(form) in (str, bytes) or _is_json(form):
            return encode(form)
        return msgspec.msgpack.encode(_pack(form)), MESSAGE_PACK
    except (
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        msgspec.EncodeError,
    ) as error:  # text that is no Unicode, or a time of pandas that is none, for instance
        raise CodecError(f"a {type(value).__name__} cannot be sent: {error}") from error


@functools.lru_cache(maxsize=1024)
def media_type(content_type: str) -> tuple[str | None, str]:
    """Read a content type as HTTP does: in any case of letters, with parameters, and by its suffix.

    Args:
        content_type: The text of the header, for instance ``application/cloudevents+json; charset=utf-8``.

    Returns:
        :data:`JSON`, :data:`MESSAGE_PACK`, ``text/plain`` for any text, :data:`BYTES` for all else, or ``None`` where it is
        empty; and the name of the character set.
    """
    name, _, parameters = content_type.partition(";")
    name = name.strip().lower()
    pairs = (pair.partition("=") for pair in parameters.split(";"))
    charset = next((value.strip(" \"'") for key, _, value in pairs if key.strip().lower() == "charset"), "utf-8")
    if not name:
        return None, charset
    if name in (JSON, "text/json") or name.endswith("+json"):
        return JSON, charset
    if name in _PACKED:
        return MESSAGE_PACK, charset
    return (_TEXT if name.startswith("text/") else BYTES), charset


def decode(data: bytes | None, content_type: str | None) -> Any:
    """Turn bytes from Kafka back into the value that was sent.

    Args:
        data: The bytes of the message.
        content_type: Its ``content-type`` header; ``None`` when it has none. See :func:`media_type`.

    Raises:
        CodecError: The bytes do not match their content type.
    """
    if data is None:
        return None
    try:
        kind, charset = (None, "utf-8") if content_type is None else media_type(content_type)
        if kind is None or kind == _TEXT:
            return _decode_text(data, charset)
        if kind == JSON:
            return _decode_json(data.removeprefix(codecs.BOM_UTF8) if is_utf8(charset) else _as_utf8(data, charset))
        if kind == MESSAGE_PACK:
            return msgspec.msgpack.decode(data, ext_hook=_unpack)
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


def is_utf8(charset: str) -> bool:
    """Tell whether this is a name of UTF-8, in which all text is sent."""
    return charset.lower() in ("utf-8", "utf8")


def _decode_text(data: bytes, charset: str) -> str | bytes:
    """Read text; leave bytes that are none."""
    try:
        return data.decode(charset)
    except LookupError:
        return _decode_text(data, "utf-8")
    except UnicodeDecodeError:
        return data


def _as_utf8(data: bytes, charset: str) -> bytes:
    try:
        return data.decode(charset).encode()
    except LookupError:
        return data


def encode_key(key: Any) -> bytes | None:
    """Turn a key into bytes: text and bytes as they are, other values as JSON, so equal keys get equal bytes.

    UUIDs, dates and decimals are written as ``str`` does, also within others; tuples as lists, dataclasses as dictionaries.

    Raises:
        CodecError: The key is neither text nor bytes nor made of these types.
    """
    if key is None or type(key) is bytes:
        return key
    try:
        if type(key) is str:
            return key.encode()
        form = simplified(key)
        if isinstance(form, _WRITTEN_AS_TEXT):
            form = str(form)
        if isinstance(form, str | bytes):
            return form.encode() if isinstance(form, str) else form
        if isinstance(form, dict | list | tuple) or is_record(form):
            form = _plain_key(form)
        if _is_json(form):
            return msgspec.json.encode(form, order="deterministic")
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"a {type(key).__name__} cannot be a key: {error}") from error
    raise CodecError(
        f"a key must be text, bytes or JSON, so that equal keys give equal bytes; this {type(key).__name__} is, or holds, "
        "something else"
    )


def _plain_key(value: Any) -> Any:
    """Rewrite a composite key into JSON's own types; leave what has no single form in JSON."""
    if isinstance(value, _WRITTEN_AS_TEXT):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain_key(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_key(item) for item in value]
    return _plain_key(simplified(fields_of(value))) if is_record(value) else value


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


def encode_plain_json(value: Any) -> bytes:
    """Turn a value into JSON without a mark, for other programs.

    Raises:
        TypeError: It holds something that JSON cannot.
        ValueError: It holds a number that JSON lacks, which would be written as null; or two keys of one text, of which
            readers would take the last.
    """
    data = encode_any_json(value)
    if may_lack(data, value) and (fault := fault_of(value)):
        raise ValueError(fault)
    return data


def _encode_simpler(value: Any) -> Any:
    form = simpler(value)
    if form is value:
        raise TypeError(f"a {type(value).__name__} is no JSON")
    return form


encode_any_json = msgspec.json.Encoder(enc_hook=_encode_simpler).encode


def may_lack(data: bytes, value: Any) -> bool:
    """Look, quickly, whether JSON may lack something of its value: see :func:`fault_of`.

    Args:
        data: The JSON by :data:`encode_any_json`, which writes null for a number that JSON lacks.
        value: The value.
    """
    if data.find(b"null") >= 0 or data.find(b"{", 1) >= 0:  # `in` takes twice as long
        return True
    if type(value) is not dict:
        return data.startswith(b"{")
    try:
        "".join(value)  # the quickest way to see that all keys are text
    except TypeError:
        return True
    return False


def fault_of(value: Any) -> str:
    """Return what JSON by :data:`encode_any_json` lacks of a value; an empty text if it has all."""
    if _is_json(value):
        return ""
    if _has_odd_number(value):
        return "JSON has neither NaN nor infinity; send None, or text"
    if _has_private_field(value):
        return "JSON would lack the fields of an attrs class whose names begin with _; send a dictionary"
    return TWINS if _has_twin_keys(value) else ""


def _has_odd_number(value: Any) -> bool:
    return not math.isfinite(value) if isinstance(value, float) else any(map(_has_odd_number, parts(value)))


def _has_private_field(value: Any) -> bool:
    """Tell whether msgspec leaves out fields: those of attrs, not those of dataclasses."""
    names = attrs_names(type(value)) or ()
    return any(name.startswith("_") for name in names) or any(map(_has_private_field, parts(value)))


def _has_twin_keys(value: Any) -> bool:
    twins = isinstance(value, dict) and len({encode_any_json({key: 0}) for key in value}) < len(value)
    return twins or any(map(_has_twin_keys, parts(value)))


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
    if is_record(value):
        fields = {name: _pack(item) for name, item in fields_of(value).items()}
        return _extension(_DATACLASS, [kind.__module__, kind.__qualname__, fields])
    if (form := simpler(value)) is not value:
        return _pack(form)
    if isinstance(value, collections.abc.Iterable):
        raise CodecError(f"a {kind.__module__}.{kind.__qualname__} cannot be sent; make it a list")
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
    """Rebuild a dataclass, if the receiver has imported the class already: a message must not import code.

    Its class may have other fields than the sender's, as while a new version takes over: those that were not sent get their
    defaults.
    """
    kind: Any = sys.modules.get(module)
    for name in qualified_name.split("."):
        kind = getattr(kind, name, None)
    if kind is None:
        raise TypeError(
            f"no {module}.{qualified_name} is imported here; import that dataclass where it is received, too"
        )
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"{module}.{qualified_name} is not a dataclass")
    result = object.__new__(kind)
    for item in dataclasses.fields(kind):
        if item.name in fields:
            object.__setattr__(result, item.name, fields[item.name])
        elif item.default_factory is not dataclasses.MISSING:
            object.__setattr__(result, item.name, item.default_factory())
        elif item.default is not dataclasses.MISSING:
            object.__setattr__(result, item.name, item.default)
        elif item.init:
            raise TypeError(f"it lacks the field {item.name} of {module}.{qualified_name}, which has no default")
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
