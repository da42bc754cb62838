"""HTTP requests to servers that strangers run: a session of requests with one transport adapter.

The adapter refuses addresses, ends each exchange at its deadline, and bounds the size of answers. It stands on ``http.client``:
requests' own adapter, over urllib3, takes 0.25 ms more of the processor for each request, and ingest then loses 30 %.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests
from requests.adapters import BaseAdapter
from requests.auth import HTTPBasicAuth
from requests.structures import CaseInsensitiveDict

from catena_core.errors import CatenaError
from catena_core.version import __version__

USER_AGENT = f"catena/{__version__}"
_MOST_REDIRECTS = 5
_MOST_INTERIM_ANSWERS = 10
_MOST_HEAD_BYTES = 256 * 1024
_CONNECT_WITHIN = 10.0
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS

_URI_CHARACTERS = "%!#$&'()*+,/:;=?@[]~"

# The most bytes to read at once.
CHUNK = 1024 * 1024

# A scheme, a host, and a port unless it is the scheme's own.
_Server = tuple[str, str, "int | None"]


class UnsafeError(CatenaError):
    """A request, or its answer, is refused; trying again would not help."""


class Deadline:
    """The end of the time for a request, with its redirects.

    Args:
        seconds: The time until then.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: None are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the request is over")
        return left


class Session(requests.Session):
    """A session that takes no proxy and no password from its environment, and keeps no cookie.

    Many threads may use it. It sends a method, an address, headers and bytes. A timeout in seconds bounds each exchange, from
    name resolution to the last byte; a ``Deadline`` in its place bounds the redirects as well.

    Args:
        pool_connections: The servers to which it keeps idle connections.
        pool_maxsize: The idle connections that it keeps to each.
        max_bytes: The largest body, after decompression; ``None`` for any.
    """

    def __init__(self, pool_connections: int = 100, pool_maxsize: int = 10, max_bytes: int | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = _MOST_REDIRECTS
        self.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"})
        transport = TransportAdapter(pool_connections, pool_maxsize, max_bytes)
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
        check_address(request.url)
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = to_uri(request.url)
        prepared.headers = CaseInsensitiveDict({**self.headers, **request.headers})
        prepared.body = request.data or None
        prepared.hooks = self.hooks
        prepared._cookies = self.cookies  # type: ignore[attr-defined]  # always empty
        return prepared

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Merge nothing: neither the environment nor this session has settings of its own."""
        return {"proxies": proxies, "stream": stream, "verify": verify, "cert": cert}

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the next address, percent-encoded byte by byte; ``None`` without one, and for other methods than GET."""
        if resp.is_redirect and resp.request.method == "GET":
            return quote(resp.headers["location"].encode("latin-1"), safe=_URI_CHARACTERS)
        return None


class TransportAdapter(BaseAdapter):
    """Sends requests over kept connections, to allowed addresses, within a deadline and a size.

    Args:
        pool_connections: The servers to which it keeps idle connections.
        pool_maxsize: The idle connections that it keeps to each.
        max_bytes: The largest body, after decompression; ``None`` for any.
    """

    def __init__(self, pool_connections: int, pool_maxsize: int, max_bytes: int | None) -> None:
        super().__init__()
        self._pool_connections = pool_connections
        self._pool_maxsize = pool_maxsize
        self._max_bytes = max_bytes
        self._idle: dict[_Server, list[_Connection]] = {}
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
        """Send a request, once more if the server had closed the kept connection.

        Args:
            request: The request.
            stream: Has no effect: ``Response.raw`` always streams.
            timeout: A ``Deadline``, or the seconds until one.
            verify: Has no effect: the system's certificates decide.
            cert: Has no effect.
            proxies: Has no effect.

        Raises:
            UnsafeError: The address or the length of the answer is refused.
            requests.exceptions.InvalidURL: The address names no server.
            requests.exceptions.Timeout: The deadline is over.
            requests.exceptions.ConnectionError: No server answers there, or not in HTTP.
        """
        deadline = timeout if isinstance(timeout, Deadline) else Deadline(timeout)
        parts = urlsplit(request.url or "")
        if not parts.hostname:
            raise requests.exceptions.InvalidURL("there is no host in the address", request=request)
        if parts.username is not None:
            HTTPBasicAuth(unquote(parts.username), unquote(parts.password or ""))(request)
        server = (parts.scheme, parts.hostname, parts.port)
        with _in_terms_of_requests(request):
            connection, answer = self._exchange(server, request, deadline)
        response = requests.Response()
        response.status_code = answer.status
        response.reason = answer.reason
        response.headers = cast("CaseInsensitiveDict[str]", answer.headers)
        response.raw = _Body(connection, answer, request, self._max_bytes, lambda: self._keep(server, connection))
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        _close(connection for connections in idle.values() for connection in connections)

    def _exchange(
        self, server: _Server, request: requests.PreparedRequest, deadline: Deadline
    ) -> tuple[_Connection, _Answer]:
        if kept := self._take(server):
            with suppress(http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                return kept, kept.exchange(request, deadline)
        connection = _Connection(server, self._tls if server[0] == "https" else None)
        return connection, connection.exchange(request, deadline)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.sslsocket_class = _TLSSocket
        return context

    def _take(self, server: _Server) -> _Connection | None:
        """Take an idle connection that the server does not seem to have closed."""
        while True:
            with self._lock:
                idle = self._idle.get(server)
                if not idle:
                    return None
                connection = idle.pop()
            if connection.is_silent():
                return connection
            connection.close()

    def _keep(self, server: _Server, connection: _Connection) -> None:
        surplus: list[_Connection] = []
        with self._lock:
            idle = self._idle.pop(server, [])
            idle.append(connection)
            self._idle[server] = idle  # now the latest of all
            if len(idle) > self._pool_maxsize:
                surplus.append(idle.pop(0))
            if len(self._idle) > self._pool_connections:
                surplus += self._idle.pop(next(iter(self._idle)))
        _close(surplus)


def _close(connections: Iterable[_Connection]) -> None:
    for connection in connections:
        connection.close()


class _Socket(socket.socket):
    """A socket whose calls end at a deadline."""

    deadline: Deadline

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.deadline.left())
        super().sendall(*args)


class _TLSSocket(_Socket, ssl.SSLSocket):
    """The same, encrypted."""


class _Answer(http.client.HTTPResponse):
    """An answer; this reads its head in a fifth of the base class's time, within a size, and skips interim answers."""

    def begin(self) -> None:
        for _ in range(_MOST_INTERIM_ANSWERS):
            version, self.status, reason = self._read_status()  # type: ignore[attr-defined]
            self.headers = self._fields()  # type: ignore[assignment]
            if not 100 <= self.status < 200 or self.status == http.client.SWITCHING_PROTOCOLS:
                break
        else:
            raise http.client.HTTPException("too many interim answers")
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.reason = reason.strip()
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = self.headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if self.status in (101, 204, 304):
            self.length = 0
        is_open_ended = self.length is None and not self.chunked
        self.will_close = is_open_ended or self._check_close()  # type: ignore[attr-defined]

    def _fields(self) -> CaseInsensitiveDict[str]:
        fields: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        left = _MOST_HEAD_BYTES
        while (line := self.fp.readline(left)) not in (b"\r\n", b"\n"):
            left -= len(line)
            if not line.endswith(b"\n"):
                raise http.client.HTTPException("the head of the answer breaks off, or is too large")
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                fields[name.strip()] = value.strip()
        return fields


class _Connection:
    """A connection to one server, for one exchange after the other."""

    def __init__(self, server: _Server, tls: ssl.SSLContext | None) -> None:
        scheme, self._host, port = server
        self._port = port if port is not None else 443 if scheme == "https" else 80
        self._tls = tls
        self._sock: _Socket | None = None

    def exchange(self, request: requests.PreparedRequest, deadline: Deadline) -> _Answer:
        """Send a request, and read the head of the answer."""
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        lines = [f"{request.method} {request.path_url} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        content = cast(bytes, request.body or b"")
        if content or request.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(content)}")
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header has an end of line in it")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        try:
            if self._sock is None:
                self._sock = self._open(request.url, deadline)
            self._sock.deadline = deadline
            self._sock.sendall(head + content)
            answer = _Answer(self._sock, method=request.method)
            answer.begin()
            return answer
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()

    def is_silent(self) -> bool:
        """Check that the server has sent nothing on the idle connection, not even its end."""
        poll = select.poll()
        assert self._sock is not None
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def _open(self, url: str | None, deadline: Deadline) -> _Socket:
        found = _resolve(self._host, self._port, deadline)
        # It connects to the addresses that it checks: a second resolution might give others.
        allowed = [address for address in found if not is_refused(address[4][0])]
        if not allowed:
            raise UnsafeError(f"{url}: {found[0][4][0]} is a link-local or multicast address, which is never asked")
        end = Deadline(min(deadline.left(), _CONNECT_WITHIN))
        while True:
            family, kind, protocol, _, place = allowed.pop(0)
            sock = _Socket(family, kind, protocol)
            try:
                sock.settimeout(end.left() / (len(allowed) + 1))
                sock.connect(place)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(end.left())
                if self._tls:
                    return cast(_Socket, self._tls.wrap_socket(sock, server_hostname=self._host))
                return sock
            except OSError:
                sock.close()
                if not allowed:
                    raise


class _Body:
    """The content of an answer, decompressed, as ``requests.Response`` reads it."""

    def __init__(
        self,
        connection: _Connection,
        answer: _Answer,
        request: requests.PreparedRequest,
        max_bytes: int | None,
        on_end: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._request = request
        self._max_bytes = max_bytes
        self._on_end = on_end
        self._left = answer.length  # None: it goes by chunks, or ends with the connection
        self._size = 0
        self._is_open = True
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        self._read = self._receive if encoding in ("", "identity") else _Inflater(encoding, self._receive).read

    def read(self, amount: int = CHUNK) -> bytes:
        """Read what has arrived, waiting only for the first byte; nothing at the end.

        Args:
            amount: The most bytes to return.

        Raises:
            UnsafeError: The body is too large.
            requests.exceptions.Timeout: The deadline is over.
            requests.exceptions.ConnectionError: The answer breaks off, or is garbled.
        """
        try:
            with _in_terms_of_requests(self._request):
                part = self._read(amount)
            self._size += len(part)
            if self._max_bytes is not None and max(self._size, self._answer.length or 0) > self._max_bytes:
                raise UnsafeError(f"{self._request.url} has more than the {self._max_bytes} bytes that are read")
        except BaseException:
            self.close()
            raise
        return part

    def close(self) -> None:
        """Close the connection, unless all is read: another request may have it by now."""
        if self._is_open:
            self._is_open = False
            self._answer.close()
            self._connection.close()

    def _receive(self, amount: int) -> bytes:
        answer = self._answer
        if not self._is_open:
            return b""
        if self._left is None:
            part = answer.read1(amount)
            is_last = not part
        else:
            part = answer.fp.read1(min(amount, self._left))
            self._left -= len(part)
            is_last = not self._left
            if not part and not is_last:
                raise http.client.IncompleteRead(b"", self._left)
        if is_last and answer.will_close:
            self.close()
        elif is_last:
            answer.close()
            self._is_open = False
            self._on_end()
        return part


class _Inflater:
    """Decompresses gzip and deflate (RFC 9110, section 8.4.1) in parts of bounded size."""

    def __init__(self, encoding: str, receive: Callable[[int], bytes]) -> None:
        self._encoding = encoding
        self._receive = receive
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._input = b""
        self._has_begun = False

    def read(self, amount: int) -> bytes:
        while True:
            self._input = self._input or self._receive(amount)
            if not self._input and not self._has_begun:
                return b""
            if self._encoding not in ("gzip", "x-gzip", "deflate"):
                raise zlib.error(f"its content encoding {self._encoding!r} was not asked for")
            if self._input and self._zlib.eof:  # gzip may have several members
                self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP)
            try:
                part = self._zlib.decompress(self._input, amount)
            except zlib.error:
                if self._has_begun:
                    raise
                self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers leave out the header of deflate
                part = self._zlib.decompress(self._input, amount)
            if not part and not self._input and not self._zlib.eof:
                raise zlib.error("the compressed content breaks off")
            self._has_begun = True
            self._input, is_over = self._zlib.unconsumed_tail or self._zlib.unused_data, not self._input
            if part or is_over:
                return part


def _resolve(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Resolve a name, in a thread of its own, since the resolver knows no deadline."""
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, UnicodeError):
        raise OSError(f"{host[:200]!r} is no host name: {answer}") from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def _in_terms_of_requests(request: requests.PreparedRequest) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise requests.exceptions.Timeout(error, request=request) from error
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise requests.exceptions.ConnectionError(error, request=request) from error


def to_uri(iri: str) -> str:
    """Percent-encode the characters of an address that a URI may not hold (RFC 3987, section 3.1).

    Raises:
        UnsafeError: There is no such host name.
    """
    parts = urlsplit(iri)
    try:
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except UnicodeError as error:
        raise UnsafeError(f"{iri[:200]!r} is not an address: {error}") from error
    return quote(urlunsplit(parts._replace(netloc=host)), safe=_URI_CHARACTERS)


def check_address(url: str) -> None:
    """Refuse an address at which no description and no node can rightly be.

    A host name passes; its addresses are checked when they are known.

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
    if is_refused(host):
        raise UnsafeError(f"{url[:200]!r} is a link-local or multicast address, which is never asked")


@lru_cache(1024)
def is_refused(host: str) -> bool:
    """Check whether a host is an IP address that is never asked.

    Private addresses are allowed, since data spaces live on them; link-local ones are not, since clouds keep their
    machines' credentials there.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_link_local or mapped.is_multicast)
