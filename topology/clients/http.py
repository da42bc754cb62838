"""HTTP requests to servers that strangers run: bounded in size, time and redirects.

On libcurl, by pycurl: an offering costs at least four requests, and libcurl spends a third of the processor time on each that
urllib3 does. It also shows each address before it connects, so that no name and no redirect can lead to one that is refused.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pycurl

from catena_core.errors import CatenaError
from catena_core.version import __version__

USER_AGENT = f"catena/{__version__}"
_MOST_REDIRECTS = 5
_CONNECT_WITHIN = 10.0


class WebError(CatenaError):
    """A server did not answer, or not as it should; it may be tried again."""


class UnsafeError(CatenaError):
    """What was asked for, or what came back, is refused; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whole.

    Attributes:
        status: The HTTP status.
        headers: The headers, by name in small letters.
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
        timeout: Seconds that one request may take, redirects and all.
        max_bytes: The largest body that is read, after decompression.
    """

    def __init__(self, timeout: float, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._of_thread = threading.local()

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one request and read the answer, whatever its status; GET follows redirects.

        Args:
            method: The HTTP method.
            url: An ``http`` or ``https`` address.
            headers: Further headers.
            body: What to send.

        Raises:
            WebError: No answer in time.
            UnsafeError: Not an address that is asked, too many redirects, or too large an answer.
        """
        check_address(url)
        exchange = _Exchange(self._max_bytes)
        curl = self._curl()
        curl.setopt(pycurl.URL, to_uri(url))
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.FOLLOWLOCATION, method == "GET")
        lines = [f"{name}: {value}".encode("latin-1", "replace") for name, value in (headers or {}).items()]
        curl.setopt(pycurl.HTTPHEADER, [*lines, b"Expect:"])
        if body is None:
            curl.setopt(pycurl.HTTPGET, True)
        else:
            curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.WRITEFUNCTION, exchange.take_body)
        curl.setopt(pycurl.HEADERFUNCTION, exchange.take_header)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, exchange.open_socket)
        try:
            curl.perform()
        except pycurl.error as error:
            raise exchange.explain(error, url, self._timeout) from error
        return Response(
            curl.getinfo(pycurl.RESPONSE_CODE),
            exchange.headers,
            exchange.body.getvalue(),
            to_uri(curl.getinfo_raw(pycurl.EFFECTIVE_URL).decode("utf-8", "replace")),
        )

    def _curl(self) -> Any:
        """This thread's own handle, which keeps the connections that it has used."""
        curl = getattr(self._of_thread, "curl", None)
        if curl is None:
            curl = pycurl.Curl()
            curl.setopt(pycurl.NOSIGNAL, True)
            curl.setopt(pycurl.NOPROXY, "*")
            curl.setopt(pycurl.USERAGENT, USER_AGENT)
            curl.setopt(pycurl.ACCEPT_ENCODING, "gzip, deflate")
            curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
            curl.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
            curl.setopt(pycurl.MAXREDIRS, _MOST_REDIRECTS)
            curl.setopt(pycurl.TIMEOUT_MS, max(1, int(self._timeout * 1000)))
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(min(self._timeout, _CONNECT_WITHIN) * 1000)))
            curl.setopt(pycurl.MAXFILESIZE, self._max_bytes)
            self._of_thread.curl = curl
        return curl


class _Exchange:
    """One request's answer as it comes in."""

    def __init__(self, max_bytes: int) -> None:
        self.body = io.BytesIO()
        self.headers: dict[str, str] = {}
        self._max_bytes = max_bytes
        self._refused = ""

    def take_header(self, line: bytes) -> None:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            self.headers.clear()  # of a redirect, or of an interim answer
            return
        name, colon, value = text.partition(":")
        if colon:
            self.headers[name.strip().lower()] = value.strip()

    def take_body(self, part: bytes) -> int:
        if self.body.tell() + len(part) > self._max_bytes:
            self._refused = f"more than the {self._max_bytes} bytes that are read"
            return 0  # which libcurl takes for a failed write
        return self.body.write(part)

    def open_socket(self, _purpose: int, address: Any) -> Any:
        family, kind, protocol, place = address
        if family in (socket.AF_INET, socket.AF_INET6) and _is_refused(place[0]):
            self._refused = f"{place[0]} is a link-local or multicast address, which is never asked"
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)

    def explain(self, error: pycurl.error, url: str, timeout: float) -> CatenaError:
        code, message = tuple(error.args)
        if self._refused:
            return UnsafeError(f"{url}: {self._refused}")
        if code == pycurl.E_FILESIZE_EXCEEDED:
            return UnsafeError(f"{url} has more than the {self._max_bytes} bytes that are read")
        # An answer that is no HTTP counts as a protocol that is not supported too, but the server may be well again later.
        is_nonsense = code == pycurl.E_UNSUPPORTED_PROTOCOL and "HTTP/0.9" in str(message)
        refused = (pycurl.E_TOO_MANY_REDIRECTS, pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_URL_MALFORMAT)
        if code in refused and not is_nonsense:
            return UnsafeError(f"{url}: {message}")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return WebError(f"{url} does not answer within {timeout:g} s")
        return WebError(f"{url} does not answer: {message}")


def to_uri(iri: str) -> str:
    """An address as it is sent: with what only an IRI, or nothing, may hold percent-encoded (RFC 3987, section 3.1).

    Raises:
        UnsafeError: There is no such host name.
    """
    parts = urlsplit(iri)
    try:
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except UnicodeError as error:
        raise UnsafeError(f"{iri[:200]!r} is not an address: {error}") from error
    return quote(urlunsplit(parts._replace(netloc=host)), safe="%!#$&'()*+,/:;=?@[]~")


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
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise UnsafeError(f"{url[:200]!r} is not an http or https address")
    if _is_refused(host):
        raise UnsafeError(f"{url[:200]!r} is a link-local or multicast address, which is never asked")


def _is_refused(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a name: what it stands for is looked at when it is known
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_link_local or mapped.is_multicast)
