"""One kept-alive connection to a SPARQL endpoint."""

from __future__ import annotations

import http.client
import time
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

ACCEPT = "application/sparql-results+json, application/n-triples"
_TIMEOUT = 180.0  # seconds; more than any side takes until it gives up


class Reply(NamedTuple):
    """What came back.

    Attributes:
        seconds: From the first byte sent to the last byte read.
        status: The HTTP status.
        content_type: The media type, without parameters.
        body: The answer.
        completeness: What the gateway says of it; empty for other servers.
    """

    seconds: float
    status: int
    content_type: str
    body: bytes
    completeness: str


class Client:
    """Asks one endpoint, one query at a time, by POST of a form.

    Args:
        url: The endpoint.
        headers: Sent with each query.
    """

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT)
        self._headers = {
            "Accept": ACCEPT,
            "Content-Type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }

    def ask(self, query: str) -> Reply:
        """Ask a query and return the answer."""
        body = urlencode({"query": query})
        try:
            return self._ask(body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # Servers close what was idle for long; the clock starts anew with the new connection.
            self._connection.close()
            return self._ask(body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, body: str) -> Reply:
        started = time.perf_counter()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        read = response.read()
        seconds = time.perf_counter() - started
        content_type = (response.getheader("Content-Type") or "").split(";")[0]
        return Reply(seconds, response.status, content_type, read, response.getheader("Catena-Completeness") or "")
