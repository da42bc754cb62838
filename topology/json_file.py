"""JSON files that people write: their objects, and their mistakes with line and column."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from catena_core.text import redacted

Entry = TypeVar("Entry", bound=msgspec.Struct)

_LONGEST_NAME = 200


def read_json_object(content: bytes) -> dict[str, Any]:
    """Read a file that holds one JSON object, with or without a byte order mark.

    Args:
        content: The file's content.

    Raises:
        ValueError: It is no JSON, or no object, or an object in it names a member twice; the message says where.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        if not content.strip():
            raise ValueError("it is empty") from error
        raise ValueError(_described(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds {_KINDS[type(found)]}, not an object {{…}}")
    return found


def _described(error: json.JSONDecodeError) -> str:
    """Return place and reason; for the commonest mistakes in plainer words than the parser's, and alike in each Python."""
    rest = error.doc[error.pos :].lstrip(", \t\r\n")
    place, reason = error, error.msg
    if rest[:1] in ("}", "]") and error.doc[: len(error.doc) - len(rest)].rstrip().endswith(","):
        place = json.JSONDecodeError("", error.doc, len(error.doc) - len(rest))  # Python 3.13 tells the comma's
        reason = f"there is a comma before the closing {rest[0]}"
    elif not rest:
        reason = "the file ends here, though something is still open"
    elif rest[0] == "'":
        reason = "names and texts stand in double quotes"
    elif rest[0] in ("#", "/"):
        reason = "there are no comments in JSON"
    return f"line {place.lineno}, column {place.colno}: {reason}"


def read_entries(content: bytes, kind: type[Entry]) -> dict[str, Entry]:
    """Read a file that holds one JSON object, whose members are all of one kind.

    Args:
        content: The file's content.
        kind: The struct of each member.

    Raises:
        ValueError: It holds something else; the message says where, and shows names alone.
    """
    found = {}
    for name, value in read_json_object(content).items():
        where = redacted(name[:_LONGEST_NAME])
        if isinstance(value, dict) and (typo := misspelt(value, kind.__struct_fields__)):
            raise ValueError(f"{where}: there is no {typo[0]!r}; did you mean {typo[1]!r}?")
        try:
            found[name] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ValueError(f"{where}: {error}") from error
    return found


def misspelt(given: Collection[str], known: Collection[str]) -> tuple[str, str] | None:
    """Find a name that is close to a known one: return both, or ``None``.

    Args:
        given: The names to look at.
        known: The names that mean something.
    """
    for name in given:
        meant = [] if name in known else difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
        if meant:
            return name, meant[0]
    return None


_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"an object names {name!r} twice")
        found[name] = value
    return found
