"""Cross-origin requests: pages of any origin may use the gateway (https://fetch.spec.whatwg.org/#http-cors-protocol).

The gateway has no cookies, and browsers send no password where any origin may read. So a page learns nothing through its
visitor's browser that it could not request itself.
"""

from __future__ import annotations

import flask

from federation.protocol.sparql import COMPLETENESS

_READABLE = f"{COMPLETENESS}, ETag, Link, Retry-After, WWW-Authenticate"
# Old browsers do not know the star, and none of them includes Authorization in it.
_SENDABLE = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, Pragma, X-API-Key, X-Requested-With, *"
_SECONDS = "86400"


def allow_other_origins(app: flask.Flask) -> None:
    """Let pages of all origins read every response of an application, errors included."""

    @app.after_request
    def allow(response: flask.Response) -> flask.Response:
        headers = let_pages_read(response).headers
        if flask.request.method == "OPTIONS" and "Allow" in headers:
            headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
            headers["Access-Control-Allow-Headers"] = _SENDABLE
            headers["Access-Control-Max-Age"] = _SECONDS
        return response


def let_pages_read(response: flask.Response) -> flask.Response:
    """Let pages of all origins read one response."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = _READABLE
    return response
