"""HTTP requests to servers that strangers run: a session of requests with one transport adapter.

The adapter refuses addresses, ends each exchange at its deadline, and bounds the size of answers. It hands each request to
libcurl, by pycurl: requests' own adapter, over urllib3, takes three times the processor time, and ingest loses 30 % by that.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import idna
import pycurl
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from catena_core.errors import CatenaError
from catena_core.text import bounded, redacted, split_credentials, without_credentials, without_user
from catena_core.version import __version__
from federation import content_coding
from federation.content_coding import CodingError, ContentDecoder
from federation.networks import ANY, Networks

USER_AGENT = f"catena/{__version__}"
_MAX_REDIRECTS = 5
_MAX_HEAD_BYTES = 256 * 1024
# Headers whose values make one list, however many lines they take (RFC 9110, section 5.3).
_LISTS = frozenset({"cache-control", "content-encoding", "link"})
_CONNECT_TIMEOUT = 10.0
# The idle connections that one adapter keeps, to all servers together.
_MAX_IDLE_CONNECTIONS = 512

_URI_CHARACTERS = "%!#$&'()*+,/:;=?@[]~"
_LONGEST_SHOWN = 300
_TRUST = "SSL_CERT_FILE names a file of further certificates to trust"
# Advice by a part of what OpenSSL says.
_ADVICE_ON_TLS = {
    "self-signed certificate": _TRUST,
    "local issuer certificate": _TRUST,
    "trust anchors": "SSL_CERT_FILE should name a file of certificates in PEM",
    "wrong version number": "no TLS is spoken there; does its address begin with http://?",
}


class UnsafeError(CatenaError):
    """A request, or its answer, is refused; trying again would not help."""


def _no_headers(_url: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Access:
    """The servers that a session may ask, and its credentials for them.

    Attributes:
        networks: The networks in which they may stand.
        headers: Returns the headers that authorize a request to a URL. The session asks again for each redirect, so no
            server gets the credentials of another one.
    """

    networks: Networks = ANY
    headers: Callable[[str], Mapping[str, str]] = _no_headers


class Deadline:
    """The end of the time for a request, with its redirects.

    Args:
        seconds: The time until then.
        on_data: Called with the number of bytes of each part of an answer as it arrives; what it raises ends the request.
    """

    def __init__(self, seconds: float, on_data: Callable[[int], None] | None = None) -> None:
        self._end = time.monotonic() + seconds
        self.on_data = on_data

    def left(self) -> float:
        """Return the seconds left, 0 or less when it is over."""
        return self._end - time.monotonic()


class Session(requests.Session):
    """A session that takes no proxy and no password from its environment, and keeps no cookie.

    Many threads may use it. It sends a method, an address, headers and bytes. A timeout in seconds bounds each exchange, from
    name resolution to the last byte; a ``Deadline`` in its place bounds the redirects as well.

    Args:
        max_bytes: The largest body, after decompression; ``None`` for any.
        access: The servers that it may ask; without it, any that check_address allows.
    """

    def __init__(self, max_bytes: int | None = None, access: Access | None = None) -> None:
        super().__init__()
        self._access = access or Access()
        self.trust_env = False
        self.max_redirects = _MAX_REDIRECTS
        self.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept-Encoding": content_coding.ACCEPTED})
        transport = TransportAdapter(max_bytes, self._access)
        self.mount("http://", transport)
        self.mount("https://", transport)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request by hand: requests would spend most of its time on parts that no caller uses.

        Raises:
            UnsafeError: ``check_address`` refuses the address.
            TypeError: The request has other parts than an address, headers and bytes.
        """
        unused = (request.params, request.json, request.files, request.auth, request.cookies)
        if any(unused) or not isinstance(request.data or b"", bytes):
            raise TypeError("a request has an address, headers and bytes, and nothing else")
        check_address(request.url, self._access.networks)
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = to_uri(without_credentials(request.url))
        prepared.headers = CaseInsensitiveDict({**self.headers, **_authorization(request.url), **request.headers})
        prepared.body = request.data or None
        prepared.hooks = self.hooks
        prepared._cookies = self.cookies  # type: ignore[attr-defined]  # always empty
        return prepared

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return the adapter for an address.

        Raises:
            UnsafeError: It is no http or https address, as of a redirect to a file.
        """
        try:
            return super().get_adapter(url)
        except requests.exceptions.InvalidSchema as error:
            raise UnsafeError(f"{shown_url(url)} is not an http or https address") from error

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Merge nothing: neither the environment nor this session has settings of its own."""
        return {"proxies": proxies, "stream": stream, "verify": verify, "cert": cert}

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the next address, percent-encoded; ``None`` without one, and for other methods than GET."""
        if resp.is_redirect and resp.request.method == "GET":
            target = resp.headers["location"].encode("latin-1")
            try:
                return to_uri(without_credentials(target.decode()))
            except UnicodeDecodeError:
                return without_credentials(quote(target, safe=_URI_CHARACTERS))
        return None


class TransportAdapter(BaseAdapter):
    """Sends requests by libcurl over kept connections, to allowed addresses, within a deadline and a size.

    Args:
        max_bytes: The largest body, after decompression; ``None`` for any.
        access: The servers that it may ask.
    """

    def __init__(self, max_bytes: int | None, access: Access) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._access = access
        # Handles of libcurl by scheme and host, each with one connection; the servers asked last come last.
        self._idle: dict[tuple[str, str], list[Any]] = {}
        self._idle_count = 0
        self._lock = threading.Lock()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request, and read the whole answer; libcurl tries once more if the server had closed a kept connection.

        Args:
            request: The request.
            stream: Has no effect.
            timeout: A ``Deadline``, or the seconds until one.
            verify: Has no effect: the system's certificates decide.
            cert: Has no effect.
            proxies: Has no effect.

        Raises:
            UnsafeError: The address or the length of the answer is refused.
            requests.exceptions.InvalidURL: The address names no server.
            requests.exceptions.ConnectTimeout: No connection was made in time, with TLS where the address wants it.
            requests.exceptions.Timeout: The deadline is over.
            requests.exceptions.ConnectionError: No server answers there, or not in HTTP.
        """
        deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
        exchange = _Exchange(request, self._max_bytes, deadline, self._access)
        parts = urlsplit(request.url or "")
        server = parts.scheme, parts.netloc
        handle = self._take(server)
        try:
            exchange.perform(handle)
            return exchange.response(handle)
        finally:
            self._keep(server, handle)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle, self._idle_count = self._idle, {}, 0
        for handles in idle.values():
            for handle in handles:
                handle.close()

    def _keep(self, server: tuple[str, str], handle: Any) -> None:
        surplus = None
        with self._lock:
            self._idle[server] = [*self._idle.pop(server, []), handle]
            self._idle_count += 1
            if self._idle_count > _MAX_IDLE_CONNECTIONS:
                oldest = next(iter(self._idle))
                surplus = self._idle[oldest].pop(0)
                self._idle_count -= 1
                if not self._idle[oldest]:
                    del self._idle[oldest]
        if surplus:
            surplus.close()

    def _take(self, server: tuple[str, str]) -> Any:
        with self._lock:
            if handles := self._idle.get(server):
                self._idle_count -= 1
                handle = handles.pop()  # used last, so its connection is the most likely to be open still
                if not handles:
                    del self._idle[server]
                return handle
        paths = ssl.get_default_verify_paths()
        handle = pycurl.Curl()
        handle.setopt(pycurl.NOSIGNAL, True)
        handle.setopt(pycurl.NOPROXY, "*")
        handle.setopt(pycurl.MAXCONNECTS, 1)
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        if paths.cafile:
            handle.setopt(pycurl.CAINFO, paths.cafile)
        if paths.capath:
            handle.setopt(pycurl.CAPATH, paths.capath)
        return handle


class _Exchange:
    """One request, and its answer as it arrives."""

    def __init__(
        self, request: requests.PreparedRequest, max_bytes: int | None, deadline: Deadline, access: Access
    ) -> None:
        self._request = request
        self._access = access
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._body = io.BytesIO()
        self._decoder: ContentDecoder | None = None
        self._headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        self._head_bytes = 0
        self._reason = ""
        self._error: BaseException | None = None

    def perform(self, handle: Any) -> None:
        """Send the request and read the answer, by a handle of libcurl."""
        request, left = self._request, self._deadline.left()
        if left <= 0:
            raise requests.exceptions.Timeout("the time for the request is over", request=request)
        headers = {**request.headers, **self._access.headers(request.url or "")}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header has an end of line in it")
        handle.setopt(pycurl.URL, request.url)
        if request.body or request.method in ("POST", "PUT"):
            handle.setopt(pycurl.POSTFIELDS, request.body or b"")
        else:
            handle.setopt(pycurl.HTTPGET, True)
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        handle.setopt(pycurl.HTTPHEADER, [*(line.encode("latin-1", "replace") for line in lines), b"Expect:"])
        handle.setopt(pycurl.TIMEOUT_MS, int(left * 1000) + 1)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(min(left, _CONNECT_TIMEOUT) * 1000) + 1)
        handle.setopt(pycurl.WRITEFUNCTION, self._take_body)
        handle.setopt(pycurl.HEADERFUNCTION, self._take_header)
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        try:
            handle.perform()
        except pycurl.error as error:
            raise self._translated(error) from error
        if self._decoder and not self._decoder.is_complete:
            raise requests.exceptions.ConnectionError("its compressed content breaks off", request=request)

    def response(self, handle: Any) -> requests.Response:
        """Return the answer in the terms of requests."""
        response = requests.Response()
        response.status_code = handle.getinfo(pycurl.RESPONSE_CODE)
        response.reason = self._reason
        response.headers = self._headers
        response._content = self._body.getvalue()
        response._content_consumed = True  # type: ignore[attr-defined]
        response.url = self._request.url or ""
        response.request = self._request
        return response

    def _take_header(self, line: bytes) -> int:
        self._head_bytes += len(line)
        if self._head_bytes > _MAX_HEAD_BYTES:
            return 0
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            self._headers.clear()  # of an interim answer
            self._reason = text.partition(" ")[2].partition(" ")[2]
            return len(line)
        name, colon, value = text.partition(":")
        if colon:
            name, value = name.strip(), value.strip()
            is_further = name.lower() in _LISTS and name in self._headers
            self._headers[name] = f"{self._headers[name]}, {value}" if is_further else value
        return len(line)

    def _take_body(self, part: bytes) -> int:
        """Take a part of the body; libcurl ends the exchange where this takes less than there is."""
        try:
            if self._decoder is None:
                self._decoder = ContentDecoder(self._headers.get("content-encoding", ""))
            for content in self._decoder.decode(part):
                self._take_content(content)
        except CodingError as error:
            self._error = requests.exceptions.ConnectionError(str(error), request=self._request)
            return 0
        except BaseException as error:
            self._error = error
            return 0
        return len(part)

    def _take_content(self, content: bytes) -> None:
        if self._deadline.on_data:
            self._deadline.on_data(len(content))
        if self._max_bytes is not None and self._body.tell() + len(content) > self._max_bytes:
            raise UnsafeError(
                f"{shown_url(self._request.url or '')} has more than the {self._max_bytes} bytes that are read"
            )
        self._body.write(content)

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        """Open a socket for exactly the address that libcurl connects to, unless that is refused."""
        family, kind, protocol, place = address
        if refusal := self._access.networks.refusal(place[0]):
            self._error = UnsafeError(f"{shown_url(self._request.url or '')}: {refusal}")
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)

    def _translated(self, error: pycurl.error) -> BaseException:
        if self._error is not None:
            return self._error
        code, message = cast("tuple[int, str]", error.args)
        if code == pycurl.E_OPERATION_TIMEDOUT and not message.startswith("Operation timed out"):
            return requests.exceptions.ConnectTimeout(message, request=self._request)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return requests.exceptions.Timeout(message, request=self._request)
        if code == pycurl.E_URL_MALFORMAT:
            return requests.exceptions.InvalidURL(message, request=self._request)
        return requests.exceptions.ConnectionError(message + _advice_on_tls(message), request=self._request)


def _advice_on_tls(message: str) -> str:
    """Return advice on an error of TLS, with what separates it from the error; empty if there is none."""
    found = next((advice for part, advice in _ADVICE_ON_TLS.items() if part in message), "")
    file = os.environ.get("SSL_CERT_FILE", "")
    if found == _TRUST and file and not Path(file).is_file():
        found = f"SSL_CERT_FILE={file} is no file"
    return f"; {found}" if found else ""


def to_uri(iri: str) -> str:
    """Percent-encode the characters of an address that a URI may not hold (RFC 3987, section 3.1).

    Raises:
        UnsafeError: There is no such host name.
    """
    parts = urlsplit(iri)
    host, colon, port = parts.netloc.partition(":")
    if not host.isascii():
        try:
            parts = parts._replace(netloc=f"{_ascii_name(host)}{colon}{port}")
        except UnicodeError as error:
            raise UnsafeError(f"{shown_url(iri)!r} is not an address: {error}") from error
    return quote(urlunsplit(parts), safe=_URI_CHARACTERS)


def _ascii_name(host: str) -> str:
    """Write a host name as resolvers know it: by IDNA 2008, which tells ß from ss, or by IDNA 2003 where it has no such name.

    Raises:
        UnicodeError: Neither has.
    """
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:  # symbols, for instance, and underscores
        return host.encode("idna").decode()


def shown_url(url: str) -> str:
    """Return a URL as errors show it: short, without passwords and tokens, with odd characters escaped."""
    return bounded(redacted(url), _LONGEST_SHOWN)


def check_address(url: str, networks: Networks = ANY) -> None:
    """Refuse an address at which no description and no node can rightly be.

    A host name passes; its addresses are checked when they are known.

    Args:
        url: The address.
        networks: The networks in which the server may stand.

    Raises:
        UnsafeError: The address is not one to ask.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        reason = "percent-encode its user and password, or correct its port" if "@" in url else redacted(str(error))
        raise UnsafeError(f"{shown_url(without_user(url))!r} is not an address: {reason}") from error
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise UnsafeError(f"{shown_url(without_user(url))!r} is not an http or https address")
    if refusal := networks.refusal(host):
        raise UnsafeError(f"{shown_url(url)!r}: {refusal}")


def _authorization(url: str) -> Mapping[str, str]:
    """Return the header that stands for the user and the password in a URL."""
    header = split_credentials(url)[1]
    return {"Authorization": header} if header else {}
