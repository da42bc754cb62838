"""Simpler forms of values: what enums, models, mappings and the like are on the wire, where receivers need not know them."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

from catena_core.electron import Electron

_NESTED = "an Electron is no part of a value; return or send several as one list, neither a tuple nor lists in a list"
TWINS = "two of its keys become one text, and readers would lose a value; send other keys"

# The kinds of values that receivers get as they were.
SIMPLE: frozenset[type] = frozenset(
    {
        *(str, bytes, bool, int, float, dict, list, tuple, set, frozenset),
        *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID),
    }
)


def simplified(value: Any) -> Any:
    """Replace values of further types, deep within dictionaries and lists, by simpler ones that any receiver can rebuild.

    An Enum becomes its value; a named tuple a tuple; an OrderedDict, and any other mapping, a dictionary; a deque a list;
    models of pydantic and msgspec, and objects of attrs, dictionaries; NumPy's scalars, and subclasses of text and numbers,
    plain ones.

    Args:
        value: The value.

    Raises:
        ValueError: Two keys of a dictionary have one simpler form.
    """
    kind = type(value)
    if kind is dict:
        simple = {simplified(key): simplified(item) for key, item in value.items()}
        if len(simple) < len(value):
            raise ValueError(TWINS)
        return simple
    if kind is list:
        return [simplified(item) for item in value]
    if kind is tuple:
        return tuple(simplified(item) for item in value)
    form = simpler(value)
    return value if form is value else simplified(form)


def simpler(value: Any) -> Any:
    """Give the next simpler form of a value; the value itself where there is none."""
    kind = type(value)
    if kind in SIMPLE or value is None:
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if kind.__module__.partition(".")[0] == "numpy":
        return value.item() if getattr(value, "ndim", 1) == 0 else value
    if isinstance(value, Electron):
        raise ValueError(_NESTED)
    if isinstance(value, msgspec.Struct):
        return _of_struct(value)
    if callable(dump := getattr(kind, "model_dump", None)):  # pydantic's
        return dump(value)
    if callable(dump := getattr(kind, "dict", None)) and hasattr(kind, "__fields_set__"):  # those of its version 1
        return dump(value)
    if (names := attrs_names(kind)) is not None:
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if isinstance(value, collections.abc.Mapping):
        return dict(value)
    if isinstance(value, collections.deque):
        return list(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    plain: Any
    for plain in (tuple, list, set, frozenset, str, bytes, int, float, decimal.Decimal):
        if isinstance(value, plain):
            return plain(value) if plain is not str else str.__str__(value)
    if isinstance(value, datetime.datetime):  # such as those of pandas and pendulum
        date = (value.year, value.month, value.day)
        time = (value.hour, value.minute, value.second, value.microsecond)
        return datetime.datetime(*date, *time, value.tzinfo, fold=value.fold)
    if isinstance(value, datetime.date):
        return datetime.date(value.year, value.month, value.day)
    if isinstance(value, datetime.timedelta):
        return datetime.timedelta(value.days, value.seconds, value.microseconds)
    return value


def attrs_names(kind: type) -> list[str] | None:
    """Give the names of the fields of a class of attrs; ``None`` for any other class."""
    fields = getattr(kind, "__attrs_attrs__", None)
    return None if fields is None else [item.name for item in fields]


def _of_struct(struct: msgspec.Struct) -> Any:
    """Give what msgspec itself would write of a model: its tag, the names of its fields on the wire, and no unset ones."""
    config = struct.__struct_config__
    pairs = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    fields = {encoded: item for encoded, name in pairs if (item := getattr(struct, name)) is not msgspec.UNSET}
    tag = {} if config.tag is None else {config.tag_field: config.tag}
    return [*tag.values(), *fields.values()] if config.array_like else tag | fields


def parts(value: Any) -> Iterable[Any]:
    """Give the values within a value."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        return value
    if isinstance(value, str | bytes):
        return ()
    if is_record(value):
        return list(fields_of(value).values())
    form = simpler(value)
    return () if form is value else (form,)


def is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def fields_of(record: Any) -> dict[str, Any]:
    """Give the fields of a dataclass that are set."""
    names = [item.name for item in dataclasses.fields(record)]
    return {name: getattr(record, name) for name in names if hasattr(record, name)}
