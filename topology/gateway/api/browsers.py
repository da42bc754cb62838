"""Headers for browsers: what strangers wrote is data, whatever it looks like.

A result may hold HTML, and so may a graph or an error that repeats a request. No browser may guess a type for it, run it, or
frame it (https://www.w3.org/TR/CSP3/).
"""

from __future__ import annotations

import flask

FOR_BROWSERS = ("X-Content-Type-Options", "Content-Security-Policy")
"""The headers that every response has."""

_DATA_ALONE = "default-src 'none'; frame-ancestors 'none'"


def keep_browsers_safe(app: flask.Flask) -> None:
    """Let browsers take every response of an application for what its type says; pages bring a policy of their own."""

    app.after_request(keep_browser_safe)


def keep_browser_safe(response: flask.Response) -> flask.Response:
    """Add the headers to one response."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.mimetype != "text/html":
        response.headers.setdefault("Content-Security-Policy", _DATA_ALONE)
    return response
