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
_WHITE_SPACE = re.compile(r"[ \t\r\n]")
_PARAMETER = re.compile(r'(?:default-graph-uri|named-graph-uri|format|output|explain)=[^\s{}<>"]*')


class Parameters(NamedTuple):
    """The parameters of a request, and two that many endpoints take besides.

    Attributes:
        query: The query; ``None`` when there is none.
        default_graphs: The values of ``default-graph-uri``.
        named_graphs: The values of ``named-graph-uri``.
        is_update: Whether there is an ``update`` parameter.
        format: The value of ``format`` or ``output``; empty when there is none.
        explain: The value of ``explain``; empty when there is none.
    """

    query: str | None
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()
    is_update: bool = False
    format: str = ""
    explain: str = ""


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
    query = "&".join(pieces[start:end]).removeprefix(_QUERY)
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
        return raw.decode("utf-8-sig")  # some editors begin files with a byte order mark
    except UnicodeDecodeError as error:
        raise QuerySyntaxError(f"the request is not UTF-8: {error.reason} at byte {error.start}") from None


def _read_escaped(pieces: list[str]) -> Parameters:
    try:
        pairs = parse_qsl("&".join(pieces), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise QuerySyntaxError("a parameter is not UTF-8: %-escapes stand for the bytes of UTF-8") from None
    queries = [value for name, value in pairs if name == "query"]
    if len(queries) > 1:
        raise QuerySyntaxError("there must be one query parameter, not several")
    return Parameters(
        queries[0] if queries else None,
        tuple(value for name, value in pairs if name == "default-graph-uri"),
        tuple(value for name, value in pairs if name == "named-graph-uri"),
        any(name == "update" for name, _ in pairs),
        next((value for name, value in pairs if name in ("format", "output") and value), ""),
        next((value for name, value in pairs if name == "explain"), ""),
    )
