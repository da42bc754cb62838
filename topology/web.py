"""HTTP requests to servers that strangers run: bounded in size, time and redirects.

On urllib3 directly, the engine of requests: an offering costs at least four requests, and half of what requests spends on each
goes into features that are not used here.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import urllib3

from catena_core.errors import CatenaError
from catena_core.version import __version__

USER_AGENT = f"catena/{__version__}"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5


class WebError(CatenaError):
    """A server did not answer, or not as it should; it may be tried again."""


class UnsafeError(CatenaError):
    """What was asked for, or what came back, is refused; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whole.

    Attributes:
        status: The HTTP status.
        headers: The headers, by name in any case.
        body: The content, decompressed.
        url: The address that answered, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class WebClient:
    """Keeps connections to servers open, and asks them within limits. May be used by many threads.

    Args:
        timeout: Seconds that one request may take, from its first byte to the answer's last.
        max_bytes: The largest body that is read.
        connections: Connections kept to each server.
    """

    def __init__(self, timeout: float, max_bytes: int = 64 * 1024 * 1024, connections: int = 10) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._pool = urllib3.PoolManager(num_pools=100, maxsize=connections, retries=False, block=False)

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one request and read the answer, whatever its status.

        Args:
            method: The HTTP method.
            url: An ``http`` or ``https`` address.
            headers: Further headers.
            body: What to send.

        Raises:
            WebError: No answer in time.
            UnsafeError: Not an address that is asked, too many redirects, or too large an answer.
        """
        deadline = time.monotonic() + self._timeout
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", **(headers or {})}
        for _ in range(_MOST_REDIRECTS + 1):
            check_address(url)
            response = self._send(method, url, sent, body, deadline)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or method != "GET" or not target:
                return response
            url = urljoin(url, target)
        raise UnsafeError(f"more than {_MOST_REDIRECTS} redirects, the last one to {url}")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float) -> Response:
        left = deadline - time.monotonic()
        if left <= 0:
            raise WebError(f"{url} took longer than {self._timeout:g} s")
        try:
            answer = self._pool.request(
                method,
                url,
                headers=dict(headers),
                body=body,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(left, 10), read=left),
            )
            try:
                content = self._read(answer, url, deadline)
            except BaseException:
                answer.close()
                raise
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WebError(f"{url} does not answer: {_reason(error)}") from error
        return Response(answer.status, answer.headers, content, url)

    def _read(self, answer: urllib3.BaseHTTPResponse, url: str, deadline: float) -> bytes:
        announced = answer.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise UnsafeError(f"{url} has {announced} bytes, more than the {self._max_bytes} that are read")
        parts: list[bytes] = []
        size = 0
        # read1 hands over what has arrived, so that a server that trickles is noticed by the clock.
        while part := answer.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise UnsafeError(f"{url} has more than the {self._max_bytes} bytes that are read")
            if time.monotonic() > deadline:
                raise WebError(f"{url} took longer than {self._timeout:g} s")
        return b"".join(parts)


def check_address(url: str) -> None:
    """Refuse what no description and no node can rightly be at.

    Private addresses are allowed, since data spaces live on them; link-local ones are not, since clouds keep their
    machines' credentials there.

    Raises:
        UnsafeError: The address is not one to ask.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UnsafeError(f"{url[:200]!r} is not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UnsafeError(f"{url[:200]!r} is not an http or https address")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if address.is_link_local or address.is_multicast:
        raise UnsafeError(f"{url[:200]!r} is a link-local or multicast address, which is never asked")


def _reason(error: Exception) -> str:
    """The gist of an error of urllib3, which wraps the cause more than once."""
    reason = getattr(error, "reason", None)
    while isinstance(reason, Exception):
        error, reason = reason, getattr(reason, "reason", None)
    if isinstance(error, socket.timeout | TimeoutError | urllib3.exceptions.TimeoutError):
        return "timed out"
    return str(error).split(": ", 1)[-1] or type(error).__name__
