"""The parameters of SPARQL requests (SPARQL 1.1 Protocol, section 2.1).

Some web pages send ``"query=" + query`` unescaped, with spaces, ``&``, ``+`` and ``#`` of the query among those of the form.
White space tells such a form from an escaped one, which has none.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from federation.errors import QuerySyntaxError

_QUERY = "query="
_MARK = "\ufeff"  # some editors begin files with a byte order mark
_WHITE_SPACE = re.compile(r"[ \t\r\n]")
_PARAMETER = re.compile(r'(?:default-graph-uri|named-graph-uri|format|output|results|explain|timeout)=[^\s{}<>"]*')
_FORMATS = ("format", "output", "results")
# Jena and RDF4J count seconds; with a unit it is clear.
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|)")


class Parameters(NamedTuple):
    """The parameters of a request, and three that many endpoints take besides.

    Attributes:
        query: The query; ``None`` when there is none.
        default_graphs: The values of ``default-graph-uri``.
        named_graphs: The values of ``named-graph-uri``.
        is_update: Whether there is an ``update`` parameter.
        formats: The values of ``format``, ``output`` and ``results``.
        explain: The value of ``explain``; empty when there is none.
        timeout: The value of ``timeout`` in seconds; ``None`` when there is none, or 0.
    """

    query: str | None
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()
    is_update: bool = False
    formats: tuple[str, ...] = ()
    explain: str = ""
    timeout: float | None = None


def read_form(raw: bytes) -> Parameters:
    """Read a form or the query string of an address.

    Args:
        raw: ``application/x-www-form-urlencoded``, or with an unescaped query.

    Raises:
        QuerySyntaxError: The form is not UTF-8, or has more than one query.
    """
    pieces = read_text(raw).strip().split("&")  # some clients end a form with a new line
    start = next((n for n, piece in enumerate(pieces) if piece.startswith(_QUERY)), len(pieces))
    if not _WHITE_SPACE.search("&".join(pieces[start:])):
        return _read_escaped(pieces)
    end = len(pieces)
    while end > start + 1 and _PARAMETER.fullmatch(pieces[end - 1]):
        end -= 1
    query = "&".join(pieces[start:end]).removeprefix(_QUERY).removeprefix(_MARK)
    others = _read_escaped(pieces[:start] + pieces[end:])
    if others.query is not None:
        raise QuerySyntaxError("there must be one query parameter, not several")
    return others._replace(query=query)


def read_text(raw: bytes) -> str:
    """Decode the body of a request.

    Raises:
        QuerySyntaxError: It is not UTF-8.
    """
    try:
        return raw.decode().removeprefix(_MARK)
    except UnicodeDecodeError as error:
        raise QuerySyntaxError(f"the request is not UTF-8: {error.reason} at byte {error.start}") from None


def _read_escaped(pieces: list[str]) -> Parameters:
    try:
        pairs = parse_qsl("&".join(pieces), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise QuerySyntaxError("a parameter is not UTF-8: %-escapes stand for the bytes of UTF-8") from None
    queries = [value.removeprefix(_MARK) for name, value in pairs if name == "query"]
    if len(queries) > 1:
        raise QuerySyntaxError("there must be one query parameter, not several")
    return Parameters(
        queries[0] if queries else None,
        # Forms send empty fields along; they name no graph.
        tuple(value for name, value in pairs if name == "default-graph-uri" and value),
        tuple(value for name, value in pairs if name == "named-graph-uri" and value),
        any(name == "update" for name, _ in pairs),
        tuple(value for name, value in pairs if name in _FORMATS and value),
        next((value for name, value in pairs if name == "explain"), ""),
        next((seconds(value) for name, value in pairs if name == "timeout"), None),
    )


def seconds(timeout: str) -> float | None:
    """Read a time such as ``2.5``, ``10s`` or ``500ms``; ``None`` where it is empty or 0.

    Raises:
        QuerySyntaxError: It is no time.
    """
    if not timeout.strip():
        return None
    found = _SECONDS.fullmatch(timeout.strip().lower())
    if not found:
        raise QuerySyntaxError(f"timeout is a number of seconds such as 2.5, or 500ms, not {timeout[:100]!r}")
    return float(found[1]) / (1000 if found[2] == "ms" else 1) or None
