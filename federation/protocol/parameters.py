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

from federation.errors import QuerySyntaxError

_QUERY = "query="
_PARAMETER = re.compile(r"(?:query|update|default-graph-uri|named-graph-uri|format|output|explain)=")
_MOST_ENDS = 4
_UNESCAPED = re.compile(r'[\s{}<>"]')
_SPACES = re.compile(" |%20")


class Parameters(NamedTuple):
    """The parameters of a request (SPARQL 1.1 Protocol, section 2.1), and two that many endpoints take besides.

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


def read_form(raw: bytes) -> Iterator[Parameters]:
    """The ways to read a form or the query string of an address, the likeliest first.

    Args:
        raw: ``application/x-www-form-urlencoded``, or nearly so.

    Yields:
        At least one. Those after the first are rarely needed, and made when they are.

    Raises:
        QuerySyntaxError: It is no text, or has more than one query.
    """
    pieces = read_text(raw).split("&")
    start, ends = _place_of_query(pieces)
    others = _parameters(pieces[:start] + pieces[ends[0] :])
    if start == len(pieces):
        yield others
        return
    if others.query is not None:
        raise QuerySyntaxError("there must be one query parameter, not several")
    seen: set[str] = set()
    for end in ends:
        others = _parameters(pieces[:start] + pieces[end:])
        for query in _queries(pieces[start:end]):
            if query not in seen:
                seen.add(query)
                yield others._replace(query=query)
    if not seen:
        raise QuerySyntaxError("the query is not UTF-8: %-escapes stand for the bytes of UTF-8")


def read_text(raw: bytes) -> str:
    """The text of a request's body.

    Raises:
        QuerySyntaxError: It is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")  # some editors begin files with a byte order mark
    except UnicodeDecodeError as error:
        raise QuerySyntaxError(f"the request is not UTF-8: {error.reason} at byte {error.start}") from None


def _place_of_query(pieces: list[str]) -> tuple[int, list[int]]:
    """Where the query begins and where it may end, whatever ampersands are between.

    It ends before the next parameter that a SPARQL request has; or before one after that, when what looks like a parameter
    stands in an address within the query.
    """
    start = next((n for n, piece in enumerate(pieces) if piece.startswith(_QUERY)), len(pieces))
    ends = [n for n in range(start + 1, len(pieces)) if _PARAMETER.match(pieces[n])][:_MOST_ENDS]
    return start, [*ends, len(pieces)]


def _queries(pieces: list[str]) -> Iterator[str]:
    """What the pieces may mean; what is not UTF-8 in one reading is passed over."""
    whole = "&".join(pieces).removeprefix(_QUERY)
    first = pieces[0].removeprefix(_QUERY)
    plus_is_plus = bool(_SPACES.search(whole))
    if _UNESCAPED.search(whole):  # there is no query without braces or spaces
        yield whole if plus_is_plus else whole.replace("+", " ")
        yield from _decoded(whole, plus_is_plus)
    yield from _decoded(first, plus_is_plus)
    yield from _decoded(first, False)  # what the standard says
    yield from _decoded(whole, plus_is_plus)
    for once in _decoded(whole, True):
        yield from _decoded(once, bool(_SPACES.search(once)))  # it was escaped twice


def _decoded(value: str, plus_is_plus: bool) -> Iterator[str]:
    try:
        yield (unquote if plus_is_plus else unquote_plus)(value, errors="strict")
    except UnicodeDecodeError:
        return


def _parameters(pieces: list[str]) -> Parameters:
    """The reading that the standard says."""
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
