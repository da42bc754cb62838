"""The bodies of requests, which strangers may make as large as they like."""

from __future__ import annotations

import flask

from federation.protocol.problems import RequestTooLargeError, UnsupportedCodingError


def read_body(request: flask.Request, most_bytes: int) -> bytes:
    """Read the body of a request.

    Raises:
        RequestTooLargeError: It is larger than allowed.
        UnsupportedCodingError: It is compressed.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedCodingError("send the body as it is, without a Content-Encoding")
    body = bytearray()
    if (request.content_length or 0) <= most_bytes:
        while len(body) <= most_bytes and (part := request.stream.read(most_bytes + 1 - len(body))):
            body += part
        if len(body) <= most_bytes:
            return bytes(body)
    raise RequestTooLargeError(too_large(most_bytes))


def too_large(most_bytes: int) -> str:
    """Return what to say where the body of a request is larger than allowed."""
    return (
        f"the body of the request has more than the {most_bytes} bytes that are read; send a shorter query, for instance "
        "several with a part of its values each"
    )
