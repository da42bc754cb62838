"""The formats of answers, and which one a client gets.

Every format can be had by the media type that its specification registered; ``application/json`` means SPARQL's JSON results,
or JSON-LD where the answer is a graph, and ``application/xml`` and ``text/xml`` mean the XML formats in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from topology.federation.errors import NotAcceptable
from topology.federation.plan import Form


class Format(NamedTuple):
    """How an answer is written.

    Attributes:
        media_type: What pyoxigraph calls the format.
        content_type: What the client is told, being what it asked for.
    """

    media_type: str
    content_type: str


_SOLUTIONS = {
    "application/sparql-results+json": "application/sparql-results+json",
    "application/json": "application/sparql-results+json",
    "application/sparql-results+xml": "application/sparql-results+xml",
    "application/xml": "application/sparql-results+xml",
    "text/xml": "application/sparql-results+xml",
    "text/csv": "text/csv",
    "text/tab-separated-values": "text/tab-separated-values",
}
_GRAPHS = {
    "text/turtle": "text/turtle",
    "application/n-triples": "application/n-triples",
    "application/ld+json": "application/ld+json",
    "application/json": "application/ld+json",
    "application/rdf+xml": "application/rdf+xml",
    "application/xml": "application/rdf+xml",
    "text/xml": "application/rdf+xml",
}


def choose(form: Form, accept: str) -> Format:
    """The format for an answer.

    Args:
        form: The query form.
        accept: The request's Accept header (RFC 9110, section 12.5.1); empty: anything.

    Raises:
        NotAcceptable: None of the formats asked for can be had.
    """
    formats = _SOLUTIONS if form in ("SELECT", "ASK") else _GRAPHS
    chosen = parse_accept_header(accept or "*/*", MIMEAccept).best_match(formats)
    if chosen is None:
        raise NotAcceptable(f"{form} is answered in {', '.join(formats)}; none of them matches {accept[:200]!r}")
    return Format(formats[chosen], chosen)
