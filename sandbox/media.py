"""The formats of a catalogue node, and the choice among them by Accept (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from aiohttp import web
from pyoxigraph import QueryResultsFormat, RdfFormat
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

Format = TypeVar("Format", RdfFormat, QueryResultsFormat)

GRAPH_FORMATS = {
    "application/ld+json": RdfFormat.JSON_LD,
    "application/json": RdfFormat.JSON_LD,
    "text/turtle": RdfFormat.TURTLE,
    "application/n-triples": RdfFormat.N_TRIPLES,
    "text/plain": RdfFormat.N_TRIPLES,
    "application/rdf+xml": RdfFormat.RDF_XML,
}
DATASET_FORMATS = {
    "application/n-quads": RdfFormat.N_QUADS,
    "application/trig": RdfFormat.TRIG,
    "application/ld+json": RdfFormat.JSON_LD,
}
RESULT_FORMATS = {
    "application/sparql-results+json": QueryResultsFormat.JSON,
    "application/json": QueryResultsFormat.JSON,
    "application/sparql-results+xml": QueryResultsFormat.XML,
    "application/xml": QueryResultsFormat.XML,
    "text/csv": QueryResultsFormat.CSV,
    "text/tab-separated-values": QueryResultsFormat.TSV,
}


def chosen(request: web.Request, offered: Mapping[str, Format]) -> tuple[str, Format]:
    """Choose the media type of an answer, and its format: the one that Accept prefers, else the first offered."""
    media_type = _best(", ".join(request.headers.getall("Accept", ())), tuple(offered))
    return media_type, offered[media_type]


@lru_cache(maxsize=256)
def _best(accept: str, offered: tuple[str, ...]) -> str:
    return parse_accept_header(accept, MIMEAccept).best_match(offered, default=offered[0]) or offered[0]


def sent(request: web.Request) -> RdfFormat:
    """Return the format of a request's body by its Content-Type.

    Raises:
        HTTPUnsupportedMediaType: It is not RDF.
    """
    media = RdfFormat.from_media_type(request.content_type)
    if media is None:
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type {request.content_type!r} is not RDF: send JSON-LD, Turtle, N-Triples, N-Quads or TriG."
        )
    return media


def answer(body: bytes, media_type: str, status: int = 200) -> web.Response:
    """Make a response in one of the formats above, all of which are UTF-8."""
    charset = "utf-8" if media_type.startswith("text/") else None
    return web.Response(body=body, status=status, content_type=media_type, charset=charset)
