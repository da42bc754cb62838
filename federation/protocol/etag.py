"""Entity tags, and conditional requests (RFC 9110, section 13; RFC 9111).

Data may change at any moment, so clients and proxies have to revalidate a cached answer each time, with ``If-None-Match``. The
response to that is short when nothing has changed.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus

import flask

from federation.protocol.problems import problem


def revalidated(response: flask.Response, request: flask.Request) -> flask.Response:
    """Add an entity tag, and evaluate the conditions of the request.

    Responses to POST get no tag: it would be that of the address, not that of the body (RFC 9110, section 8.8.3). Nor do
    responses that must not be stored, or are still being made.

    Args:
        response: The response; unless it says otherwise, its ``Cache-Control`` becomes ``no-cache``.
        request: The request.

    Returns:
        The response, 304 where the client has it already, or 412 where the client wants only what ``If-Match`` names.
    """
    response.headers.setdefault("Cache-Control", "no-cache")
    if request.method in ("GET", "HEAD") and not (response.cache_control.no_store or response.is_streamed):
        digest = hashlib.blake2b(response.get_data(), digest_size=16, person=b"catena")
        digest.update(f"\0{response.content_type}".encode())
        response.set_etag(digest.hexdigest())
        if "If-None-Match" in request.headers or "If-Match" in request.headers:
            response.make_conditional(request)
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:
        return problem(HTTPStatus.PRECONDITION_FAILED, "this is not what If-Match names any more; ask without it")
    return response


def wants_fresh(request: flask.Request) -> bool:
    """Return whether the client wants an answer that comes from no cache (RFC 9111, sections 5.2.1 and 5.4)."""
    # Pragma counts only where there is no Cache-Control, whose names are in any case.
    given = request.headers.get("Cache-Control", request.headers.get("Pragma", ""))
    directives = {directive.partition("=")[0].strip().lower() for directive in given.split(",")}
    return not directives.isdisjoint(("no-cache", "no-store"))
