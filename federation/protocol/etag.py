"""Answers that clients and proxies may keep, and ask whether they still hold (RFC 9110, section 13; RFC 9111).

Nothing tells how long an answer will hold: data may change at any moment. So what is kept must be asked for again each time,
with ``If-None-Match``, and the answer to that is short when nothing has changed.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus

import flask

from federation.protocol.problems import problem


def revalidated(response: flask.Response, request: flask.Request) -> flask.Response:
    """A successful answer to GET or HEAD with its entity tag, or 304 where the client has it already, or 412 where it
    wants what it has and nothing else.

    Answers to POST get no tag: it would be that of the address, not that of the body (RFC 9110, section 8.8.3). Nor does what
    is not to be kept.

    Args:
        response: A whole answer; where it may be kept, its ``Cache-Control`` becomes ``no-cache``.
        request: What was asked.
    """
    response.headers.setdefault("Cache-Control", "no-cache")
    if request.method in ("GET", "HEAD") and not response.cache_control.no_store:
        digest = hashlib.blake2b(response.get_data(), digest_size=16, person=b"catena")
        digest.update(f"\0{response.content_type}".encode())
        response.set_etag(digest.hexdigest())
        if "If-None-Match" in request.headers or "If-Match" in request.headers:
            response.make_conditional(request)
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:
        return problem(HTTPStatus.PRECONDITION_FAILED, "this is not what If-Match names any more; ask without it")
    return response


def wants_fresh(request: flask.Request) -> bool:
    """Whether the client wants an answer that was not kept anywhere (RFC 9111, sections 5.2.1 and 5.4)."""
    # Pragma counts only where there is no Cache-Control; of that, names are in any case.
    given = request.headers.get("Cache-Control", request.headers.get("Pragma", ""))
    directives = {directive.partition("=")[0].strip().lower() for directive in given.split(",")}
    return not directives.isdisjoint(("no-cache", "no-store"))
