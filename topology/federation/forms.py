"""Reading the parameters of SPARQL requests, badly escaped ones too.

Web pages are known to send ``"query=" + query`` as it is, or what JavaScript's ``encodeURI`` makes of it, so that spaces,
``&``, ``+`` and ``#`` of the query stand among those of the form. There are then several ways to read the same bytes. The
likeliest comes first; whoever knows what a query is takes the first reading that has one. Two signs tell how a text was
escaped: raw braces, quotes or white space mean that it was not; and where spaces stand raw or as ``%20``, a ``+`` is a plus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus

from topology.federation.errors import QuerySyntaxError

_PARAMETER = re.compile(r"(?:query|update|default-graph-uri|named-graph-uri|format|output)=")
_UNESCAPED = re.compile(r'[\s{}<>"]')
_SPACES = re.compile(" |%20")


class Parameters(NamedTuple):
    """The parameters of a request (SPARQL 1.1 Protocol, section 2.1).

    Attributes:
        query: The query; ``None`` when there is none.
        default_graphs: The values of ``default-graph-uri``.
        named_graphs: The values of ``named-graph-uri``.
        is_update: Whether there is an ``update`` parameter.
    """

    query: str | None
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()
    is_update: bool = False


def read_form(raw: bytes) -> list[Parameters]:
    """The ways to read a form or the query string of an address, the likeliest first.

    Args:
        raw: ``application/x-www-form-urlencoded``, or nearly so.

    Raises:
        QuerySyntaxError: It is no text, or has more than one query.
    """
    text = read_text(raw)
    return list(dict.fromkeys(_readings(text)))


def read_text(raw: bytes) -> str:
    """The text of a request's body.

    Raises:
        QuerySyntaxError: It is not UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise QuerySyntaxError(f"the request is not UTF-8: {error.reason} at byte {error.start}") from None


def _readings(text: str) -> Iterator[Parameters]:
    pieces = text.split("&")
    value = _joined(pieces)
    if value is None:
        yield _parameters(pieces)
        return
    spaced = unquote if _SPACES.search(value) else unquote_plus
    decoded, as_typed = spaced(value), value.replace("+", " ") if spaced is unquote_plus else value
    escaped = _parameters(pieces)
    if _UNESCAPED.search(value):
        yield escaped._replace(query=as_typed)
        yield escaped._replace(query=decoded)
    first = next(piece for piece in pieces if piece.startswith("query="))
    yield escaped._replace(query=spaced(first.removeprefix("query=")))
    yield escaped
    yield escaped._replace(query=decoded)
    yield escaped._replace(query=as_typed)


def _joined(pieces: list[str]) -> str | None:
    """The text after ``query=`` up to the next parameter that a SPARQL request has, whatever ampersands it contains."""
    starts = [n for n, piece in enumerate(pieces) if piece.startswith("query=")]
    if not starts:
        return None
    start = starts[0]
    end = next((n for n in range(start + 1, len(pieces)) if _PARAMETER.match(pieces[n])), len(pieces))
    return "&".join(pieces[start:end]).removeprefix("query=")


def _parameters(pieces: list[str]) -> Parameters:
    """The reading that the standard says."""
    pairs = parse_qsl("&".join(pieces), keep_blank_values=True)
    queries = [value for name, value in pairs if name == "query"]
    if len(queries) > 1:
        raise QuerySyntaxError("there must be one query parameter, not several")
    return Parameters(
        queries[0] if queries else None,
        tuple(value for name, value in pairs if name == "default-graph-uri"),
        tuple(value for name, value in pairs if name == "named-graph-uri"),
        any(name == "update" for name, _ in pairs),
    )
