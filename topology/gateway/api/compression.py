"""Compression of answers, for clients that ask for it (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

import flask
from werkzeug.http import parse_accept_header

from federation.protocol.problems import problem

# What fits into one packet comes no sooner.
_LEAST_BYTES = 1400
# The fastest one. The next ones take twice the time for a tenth of the bytes.
_LEVEL = 1
_GZIP = zlib.MAX_WBITS | 16
_TEXTS = ("json", "xml", "javascript", "n-triples", "n-quads", "trig")


class Codings(NamedTuple):
    """The qualities of codings in an Accept-Encoding header; 0: the coding is not acceptable.

    Attributes:
        gzip: That of gzip.
        identity: That of no coding at all.
    """

    gzip: float
    identity: float


@lru_cache(64)  # clients send few different ones
def codings(accept: str | None) -> Codings:
    """Read an Accept-Encoding header; without one, no coding is the only one to expect.

    Args:
        accept: The header.
    """
    qualities = {name.strip().lower(): quality for name, quality in parse_accept_header(accept or "")}
    others = qualities.get("*")
    gzip = max((qualities[name] for name in ("gzip", "x-gzip") if name in qualities), default=others or 0)
    # It is acceptable unless the header rules it out, but least of all those that the header names.
    return Codings(gzip, qualities.get("identity", 0.0 if others == 0 else 0.001))


def compress_answers(app: flask.Flask) -> None:
    """Compress the answers of an application from now on, for clients that prefer that."""

    @app.before_request
    def refuse() -> flask.Response | None:
        if any(codings(flask.request.headers.get("Accept-Encoding"))):
            return None
        return problem(
            HTTPStatus.NOT_ACCEPTABLE, "answers come as they are, or with gzip; Accept-Encoding rules out both"
        )

    @app.after_request
    def compress(response: flask.Response) -> flask.Response:
        if not _is_text(response.mimetype) or response.direct_passthrough or "Content-Encoding" in response.headers:
            return response
        response.vary.add("Accept-Encoding")
        accepted = codings(flask.request.headers.get("Accept-Encoding"))
        is_small = not response.is_streamed and len(response.get_data()) < _LEAST_BYTES
        if accepted.gzip < accepted.identity or not accepted.gzip or (is_small and accepted.identity):
            return response
        if response.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return response
        if response.is_streamed:
            response.response = _compressed(response.iter_encoded())
        else:
            response.set_data(b"".join(_compressed([response.get_data()])))
        response.headers["Content-Encoding"] = "gzip"
        tag, _ = response.get_etag()
        if tag:
            response.set_etag(tag, weak=True)  # the bytes are others than without compression
        return response


def _is_text(media_type: str | None) -> bool:
    if not media_type or media_type == "text/event-stream":  # an event must not wait for the next one
        return False
    return media_type.startswith("text/") or media_type.endswith(_TEXTS)


def _compressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for part in parts:
        if compressed := compressor.compress(part):
            yield compressed
    yield compressor.flush()
