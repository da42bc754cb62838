"""The shape that all stores share: records, found by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Key = str | bytes | int
"""The key of a record; an integer fits into 64 bits. ``"1"``, ``b"1"`` and ``1`` are three keys."""

VALUE = "value"
KEY = "key"
MARK = 0  # Aerospike keeps no record without a bin, so a record of a key alone needs a value

_INTEGERS = range(-(2**63), 2**63)


class Store(Protocol):
    """A store of records, whichever it is.

    The methods of the three connectors take more than these; parameters have each store's own names, so links that are to
    run on any pass them by position. Where a namespace or set is left out, it is the one of ``set_defaults``.

    Values are text without NUL, bytes, booleans, integers of 64 bits, floats, and lists and dictionaries (with keys of text) of
    these and of ``None``; they come back as they were put. Names are text of 1 to 15 bytes without ``.`` and ``$``.
    """

    def set_defaults(self, namespace: str, set_: str | None = None, /) -> None:
        """Say which namespace and set are meant where a call names none."""

    def put(
        self,
        key: Key,
        value: Any = None,
        namespace: str | None = None,
        set_: str | None = None,
        /,
        *,
        store_key: bool = False,
    ) -> None:
        """Write a record, or into the one that is there.

        Args:
            key: The record's key.
            value: A dictionary of named values: each replaces the one of its name, ``None`` takes that away, and names that
                are not given stay as they are. Anything else replaces the one named ``value``; left out, that is 0.
            store_key: Keep the key in the record, too, under the name ``key``, so that ``get`` returns it.
        """

    def get(self, key: Key, namespace: str | None = None, set_: str | None = None, /) -> tuple[Key | None, Any]:
        """Return a record: the key, where it was stored, else ``None``; and its values.

        Returns:
            As the second, the dictionary of named values, or the one named ``value`` if there is no other. If there is no such
            record, ``(None, None)``.
        """

    def exists(self, key: Key, namespace: str | None = None, set_: str | None = None, /) -> bool:
        """Tell whether there is a record of that key."""

    def remove(self, key: Key, namespace: str | None = None, set_: str | None = None, /) -> int:
        """Take a record away; return how many there were, 1 or 0."""

    def create_index(self, name: str, /) -> None:
        """Let the store find records of the default set by the values of a name faster, if it can; once or again."""

    def close(self) -> None:
        """End the connection, if there is one; a later call makes a new one."""


def record_of(key: Key, value: Any, store_key: bool) -> dict[str, Any]:
    """Turn the arguments of ``put`` into a record's named values; those that are ``None`` are to be removed.

    Raises:
        TypeError: The names are not text.
        ValueError: There is nothing to write.
    """
    if isinstance(value, Mapping):
        record = dict(value)
        for name in record:
            if not isinstance(name, str):
                raise TypeError(f"values of a record are named by text, not by {name!r}; put it as {{'value': {{…}}}}")
    elif value is None:
        record = {} if store_key else {VALUE: MARK}
    else:
        record = {VALUE: value}
    if store_key:
        record[KEY] = key
    if not record:
        raise ValueError(f"an empty dictionary makes no record; to mark {key!r} as present, put it without a value")
    return record


def value_of(record: dict[str, Any]) -> tuple[Key | None, Any]:
    """Turn a record's named values into the result of ``get``."""
    values = dict(record)
    key = values.pop(KEY, None)
    if values.keys() == {VALUE}:
        return key, values[VALUE]
    return key, values or None


def check_key(key: Any) -> Key:
    """Return a key as it is, if it is one.

    Raises:
        TypeError: It is neither text nor bytes nor an integer.
        ValueError: The integer does not fit into 64 bits.
    """
    if isinstance(key, bool) or not isinstance(key, (str, bytes, int)):
        raise TypeError(f"the key of a record is text, bytes or an integer, not {type(key).__name__}")
    if isinstance(key, int) and key not in _INTEGERS:
        raise ValueError(f"the key {key} does not fit into 64 bits; make it text")
    return key
