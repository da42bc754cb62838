"""Pages of any origin may ask (the CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol).

The gateway knows no users and no cookies, so a page learns nothing through its visitor's browser that it could not ask for
itself.
"""

from __future__ import annotations

import flask

from federation.protocol.sparql import COMPLETENESS

_READABLE = f"{COMPLETENESS}, ETag, Link, Retry-After"
# What browsers send unasked needs no permission. Old ones do not know the star, and none counts Authorization among it.
_SENDABLE = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, Pragma, X-Requested-With, *"
_SECONDS = "86400"


def allow_other_origins(app: flask.Flask) -> None:
    """Let pages of all origins read every answer of an application, errors too."""

    @app.after_request
    def allow(response: flask.Response) -> flask.Response:
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Access-Control-Expose-Headers"] = _READABLE
        if flask.request.method == "OPTIONS" and "Allow" in headers:
            headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
            headers["Access-Control-Allow-Headers"] = _SENDABLE
            headers["Access-Control-Max-Age"] = _SECONDS
        return response
