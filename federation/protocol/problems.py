"""Errors over HTTP: problem details (RFC 9457), in JSON."""

from __future__ import annotations

from http import HTTPStatus

import flask
import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from catena_core.text import redacted
from federation.errors import (
    BadAnswerError,
    FederationError,
    NotAcceptableError,
    QueryCancelledError,
    QueryRefusedError,
    QuerySyntaxError,
    QueryTimeoutError,
    ServerStoppingError,
    ServiceFailedError,
    SilentSourceError,
    SourceFailedError,
    TooBusyError,
    TooLargeError,
    UpdateRefusedError,
)

CONTENT_TYPE = "application/problem+json"

_RETRY_AFTER = 5  # seconds
_READ_MEDIA_TYPES = "application/x-www-form-urlencoded, application/sparql-query"


class RequestTooLargeError(FederationError):
    """The body of the request is larger than allowed."""


class UnsupportedMediaTypeError(FederationError):
    """The body of the request is of a kind that the protocol does not know."""


class UnsupportedCodingError(FederationError):
    """The body of the request is compressed."""


# The first class counts of which an error is an instance.
_STATUSES = (
    (QuerySyntaxError, HTTPStatus.BAD_REQUEST),
    (UpdateRefusedError, HTTPStatus.BAD_REQUEST),
    (RequestTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedMediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (UnsupportedCodingError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (TooLargeError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (QueryRefusedError, HTTPStatus.FORBIDDEN),
    (NotAcceptableError, HTTPStatus.NOT_ACCEPTABLE),
    (BadAnswerError, HTTPStatus.BAD_GATEWAY),
    (SilentSourceError, HTTPStatus.GATEWAY_TIMEOUT),
    (SourceFailedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ServerStoppingError, HTTPStatus.SERVICE_UNAVAILABLE),
    (TooBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ServiceFailedError, HTTPStatus.BAD_GATEWAY),
    (QueryCancelledError, HTTPStatus.SERVICE_UNAVAILABLE),  # the client has gone, and does not read it
    (QueryTimeoutError, HTTPStatus.GATEWAY_TIMEOUT),
    (FederationError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def problem(status: HTTPStatus, detail: str, **members: object) -> flask.Response:
    """Make an error response.

    Args:
        status: The kind of error.
        detail: The error, and what to do about it.
        members: Further members for programs.
    """
    content = {"title": status.phrase, "status": status.value, "detail": redacted(detail), **members}
    response = flask.Response(msgspec.json.encode(content), status=status.value, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(_RETRY_AFTER)
    return response


def of_error(error: FederationError) -> flask.Response:
    """Make the response to a query that failed, or to a request that has none."""
    members: dict[str, object] = {}
    if isinstance(error, QuerySyntaxError) and error.line:
        members = {"line": error.line, "column": error.column}
    if isinstance(error, SourceFailedError) and error.sources:
        members = {"nodes": sorted(error.sources)}
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    detail = str(error)
    if isinstance(error, QueryTimeoutError):
        detail = f"there was no answer in time: {detail}; try again, or ask for less"
    response = problem(status, detail, **members)
    if isinstance(error, UnsupportedMediaTypeError):
        response.headers["Accept"] = _READ_MEDIA_TYPES
    if isinstance(error, UnsupportedCodingError):
        response.headers["Accept-Encoding"] = "identity"
    return response


def of_http(error: HTTPException) -> Response:
    """Make the response to an unknown address or method, or to a failure of the server; pass redirects on."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    if isinstance(error, NotFound):
        detail = f"there is nothing at {flask.request.path[:200]}; GET / says what there is"
    elif isinstance(error, MethodNotAllowed):
        detail = (
            f"{flask.request.path} takes {', '.join(sorted(error.valid_methods or ()))}, not {flask.request.method}"
        )
    else:
        detail = error.description or status.description
    response = problem(status, detail)
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def register(app: flask.Flask) -> None:
    """Let an application respond to all errors in this way."""
    app.register_error_handler(FederationError, of_error)
    app.register_error_handler(HTTPException, of_http)
