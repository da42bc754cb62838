"""The formats of answers, and content negotiation.

Clients name a format by the media type that its specification registered. ``application/json`` means SPARQL's JSON results, or
JSON-LD where the answer is a graph; ``application/xml`` and ``text/xml`` mean the XML formats in the same way. Where a client
cannot set a header, as in the address bar of a browser, a parameter names the format instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from werkzeug.http import parse_accept_header

from federation.analysis.plan import Form
from federation.errors import NotAcceptableError

JSON_LD = "application/ld+json"
SOLUTIONS = {
    "application/sparql-results+json": "application/sparql-results+json",
    "application/json": "application/sparql-results+json",
    "application/sparql-results+xml": "application/sparql-results+xml",
    "application/xml": "application/sparql-results+xml",
    "text/xml": "application/sparql-results+xml",
    "text/csv": "text/csv",
    "text/tab-separated-values": "text/tab-separated-values",
}
"""The formats of SELECT and ASK: by media type, pyoxigraph's name for it; the first is the default."""
GRAPHS = {
    "text/turtle": "text/turtle",
    "application/n-triples": "application/n-triples",
    "application/ld+json": JSON_LD,
    "application/json": JSON_LD,
    "application/rdf+xml": "application/rdf+xml",
    "application/xml": "application/rdf+xml",
    "text/xml": "application/rdf+xml",
    "text/n3": "text/turtle",
    "text/rdf+n3": "text/turtle",
    "application/turtle": "text/turtle",
    "application/x-turtle": "text/turtle",
    "application/n-quads": "application/n-quads",
    "application/trig": "application/trig",
}
"""The formats of graphs, in the same way; Turtle is valid N3, and names of graphs are optional in N-Quads and TriG."""
SOLUTION_NAMES = {
    "json": "application/sparql-results+json",
    "xml": "application/sparql-results+xml",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "srj": "application/sparql-results+json",
    "srx": "application/sparql-results+xml",
    "sparql-results+json": "application/sparql-results+json",
    "sparql-results+xml": "application/sparql-results+xml",
}
"""The names that a parameter may have for the formats of SELECT and ASK."""
GRAPH_NAMES = {
    "turtle": "text/turtle",
    "ttl": "text/turtle",
    "ntriples": "application/n-triples",
    "n-triples": "application/n-triples",
    "nt": "application/n-triples",
    "jsonld": JSON_LD,
    "json-ld": JSON_LD,
    "json": JSON_LD,
    "n3": "text/n3",
    "nquads": "application/n-quads",
    "n-quads": "application/n-quads",
    "nq": "application/n-quads",
    "trig": "application/trig",
    "rdfxml": "application/rdf+xml",
    "rdf+xml": "application/rdf+xml",
    "rdf": "application/rdf+xml",
    "xml": "application/rdf+xml",
}
"""The names that a parameter may have for the formats of graphs."""

# "q=.2", as Java sends by default, lacks a digit that the grammar wants.
_BARE_FRACTION = re.compile(r"(;\s*q\s*=\s*)(?=\.)", re.IGNORECASE)


class Format(NamedTuple):
    """The format of an answer.

    Attributes:
        media_type: pyoxigraph's name for it.
        content_type: The media type by which the client asked for it.
    """

    media_type: str
    content_type: str


@lru_cache(64)  # clients send few different ones
def choose(form: Form, accept: str) -> Format:
    """Choose the format of an answer.

    Args:
        form: The query form.
        accept: The request's Accept header (RFC 9110, section 12.5.1); empty: anything.

    Raises:
        NotAcceptableError: The answer cannot be written in any of the acceptable formats.
    """
    return _chosen(SOLUTIONS if form in ("SELECT", "ASK") else GRAPHS, accept, form)


def choose_for_graph(accept: str, first: str = "text/turtle") -> Format:
    """Choose the format of a graph that is not the answer to a query.

    Args:
        accept: As for ``choose``.
        first: The media type that wins where Accept likes several equally.

    Raises:
        NotAcceptableError: The graph cannot be written in any of the acceptable formats.
    """
    return _chosen({first: GRAPHS[first]} | GRAPHS, accept, "this")


def media_type_named(form: Form, names: Iterable[str]) -> str:
    """Return the media type of the first known format among those that parameters name; empty when none is known.

    Links and libraries bring along names of other servers, such as ``auto``.

    Args:
        form: The query form.
        names: Short names such as ``csv`` or ``ttl``, or media types.
    """
    short, media_types = (SOLUTION_NAMES, SOLUTIONS) if form in ("SELECT", "ASK") else (GRAPH_NAMES, GRAPHS)
    for name in names:
        # An unescaped plus in a media type has become a space.
        wanted = name.strip().lower().replace(" ", "+")
        if wanted in short or wanted in media_types:
            return short.get(wanted, wanted)
    return ""


def _chosen(formats: Mapping[str, str], accept: str, what: str) -> Format:
    """Choose by quality, then by how exactly Accept names the format, then the first."""
    qualities = _qualities(accept)
    quality, _, chosen = max(
        ((*_liking(media_type, qualities), media_type) for media_type in formats), key=lambda item: item[:2]
    )
    if quality == 0:
        raise NotAcceptableError(f"{what} is answered in {', '.join(formats)}; none of them matches {accept[:200]!r}")
    return Format(formats[chosen], chosen)


def _qualities(accept: str) -> dict[str, float]:
    """Return the quality of each media range that an Accept header names; without any, everything is welcome."""
    qualities: dict[str, float] = {}
    for media_range, quality in parse_accept_header(_BARE_FRACTION.sub(r"\g<1>0", accept)):
        # Formats have no variants, so parameters such as a charset make no difference.
        wanted = media_range.partition(";")[0].strip().lower()
        wanted = "*/*" if wanted == "*" else wanted
        qualities[wanted] = max(quality, qualities.get(wanted, 0))
    return qualities or {"*/*": 1}


def _liking(media_type: str, qualities: Mapping[str, float]) -> tuple[float, int]:
    """Return the quality of the most specific range that contains a media type, and how specific that is."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    return next(((qualities[wanted], n) for n in (2, 1, 0) if (wanted := ranges[n]) in qualities), (0, 0))
