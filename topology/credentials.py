"""The credentials of an operator's servers: read at the door, kept apart from their addresses, shown nowhere.

They travel in no topic. Each link reads them from the list of nodes and from the file of NODE_CREDENTIALS, and the HTTP client
asks for them request by request.
"""

from __future__ import annotations

import base64
import contextlib
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import basic_authorization, conceal
from topology.json_file import read_entries

# Seconds between two looks at the file.
_LOOK_EVERY = 1.0
_DEFAULT_PORTS = {"http": 80, "https": 443}

Headers = Mapping[str, str]


class _Named(Protocol):
    """A node with its name and its address."""

    @property
    def id(self) -> str: ...

    @property
    def url(self) -> str: ...


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    user: str = ""
    password: str = ""
    bearer: str = ""
    headers: dict[str, str] = {}


class _Place(NamedTuple):
    """The URLs that begin with another one."""

    path: str
    headers: Headers


class Credentials:
    """Returns the headers that authorize a request to an operator's server.

    A server's credentials go to the URLs below its address alone: to the same scheme, host, port and path.

    Args:
        file: The file of NODE_CREDENTIALS, read again after each change; empty: none.
        logger: Logs a file that others may read, and one that can no longer be read.
        refresh: Called before a request, at most once a second; it may add credentials.

    Raises:
        UsageError: The file cannot be read.
    """

    def __init__(
        self, file: str = "", logger: LinkLogger | None = None, refresh: Callable[[], None] = lambda: None
    ) -> None:
        self._file = Path(file) if file else None
        self._refresh = refresh
        self._logger = logger
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._addresses: dict[str, frozenset[str]] = {}
        self._from_urls: dict[str, Headers] = {}
        self._from_file: dict[str, Headers] = {}
        self._places: dict[tuple[str, str, int | None], list[_Place]] = {}
        self._seen: tuple[int, int] | None = None
        self._last_error = ""
        self._next_look = 0.0
        if self._file:
            self._read(self._file)
            self._warn_of_readers(self._file)

    def add(self, url: str, authorization: str | None) -> None:
        """Remember the credentials that were part of a server's address.

        Args:
            url: The address without them.
            authorization: The header that stands for them; ``None`` forgets earlier ones.
        """
        with self._lock:
            if authorization is None:
                if self._from_urls.pop(url, None) is None:
                    return
            elif self._from_urls.get(url) == {"Authorization": authorization}:
                return
            else:
                self._from_urls[url] = _concealed({"Authorization": authorization})
            self._arrange()

    def follow(self, nodes: Iterable[_Named]) -> None:
        """Learn the addresses of nodes, so that the file may name them by their ids.

        Endpoints at a node's own host and port are its addresses, too.
        """
        with self._lock:
            addresses = {node.id: frozenset(_addresses(node)) for node in nodes}
            if not addresses.items() <= self._addresses.items():
                self._addresses.update(addresses)
                self._arrange()

    def headers(self, url: str) -> Headers:
        """Return the headers for a request to a URL."""
        if time.monotonic() >= self._next_look:
            # Other threads wait: a request that overtook the first look would go without its credentials.
            with self._looking:
                if time.monotonic() >= self._next_look:
                    self._look()
        if not self._places:
            return {}
        try:
            scheme, host, port, path = _split(url)
        except ValueError:
            return {}
        for place in self._places.get((scheme, host, port), ()):
            if path == place.path or path.startswith(f"{place.path}/"):
                return place.headers
        return {}

    def _look(self) -> None:
        try:
            self._refresh()
            if self._file:
                self._read(self._file)
            self._last_error = ""
        except UsageError as error:
            self._warn(f"{error}; the credentials stay as they were")
        finally:
            self._next_look = time.monotonic() + _LOOK_EVERY

    def _read(self, file: Path) -> None:
        try:
            status = file.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            found = read_credentials(file.read_bytes(), str(file))
        except OSError as error:
            raise UsageError(f"NODE_CREDENTIALS={file} cannot be read: {error.strerror}") from error
        with self._lock:
            self._seen, self._from_file = seen, found
            self._arrange()

    def _warn(self, problem: str) -> None:
        if problem != self._last_error:
            self._last_error = problem
            if self._logger:
                self._logger.log(problem, level="error")

    def _warn_of_readers(self, file: Path) -> None:
        if self._logger and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            self._logger.log(
                f"NODE_CREDENTIALS={file} can be read by other users of this machine; chmod 600 changes that",
                level="warning",
            )

    def _arrange(self) -> None:
        """Sort the credentials by server; of two that fit a URL, the one with the longer path counts."""
        by_url = dict(self._from_urls)
        for name, headers in self._from_file.items():
            by_url.update(dict.fromkeys(self._addresses.get(name, (name,)), headers))
        places: dict[tuple[str, str, int | None], list[_Place]] = {}
        for url, headers in by_url.items():
            try:
                scheme, host, port, path = _split(url)
            except ValueError:
                continue
            if host:
                places.setdefault((scheme, host, port), []).append(_Place(path, headers))
        for found in places.values():
            found.sort(key=lambda place: -len(place.path))
        self._places = places


def read_credentials(content: bytes, name: str) -> dict[str, Headers]:
    """Read the credentials of servers, and conceal them: ``{"node_1": {"user": …, "password": …}, …}``.

    Args:
        content: The file's content: an object by node's id, or by the URL of a node or of the DLT-Booth. Each has ``user`` and
            ``password``, or ``bearer``, or ``headers``.
        name: Its name in error messages.

    Raises:
        UsageError: The content is something else; the message shows none of it.
    """
    shape = (
        '{"node_1": {"user": "…", "password": "…"}, "node_2": {"bearer": "…"}, "node_3": {"headers": {"X-Key": "…"}}}'
    )
    try:
        entries = read_entries(content, _Entry)
    except ValueError as error:
        raise UsageError(f"NODE_CREDENTIALS={name} should be like {shape}: {error}") from error
    found: dict[str, Headers] = {}
    for key, entry in entries.items():
        headers = dict(entry.headers)
        if entry.user or entry.password:
            headers["Authorization"] = basic_authorization(entry.user, entry.password)
        if entry.bearer:
            headers["Authorization"] = f"Bearer {entry.bearer}"
        ways = bool(entry.user or entry.password) + bool(entry.bearer) + bool(entry.headers)
        if ways != 1 or not all(map(_is_header, headers.items())):
            raise UsageError(f"NODE_CREDENTIALS={name}: the entry of {key!r} should be one of those in {shape}")
        found[key.rstrip("/")] = _concealed(headers)
    return found


def _addresses(node: _Named) -> Iterator[str]:
    yield node.url
    endpoints = getattr(node, "endpoints", None)
    for url in (endpoints.sparql, endpoints.graph_store, endpoints.update) if endpoints else ():
        if urlsplit(url)[:2] == urlsplit(node.url)[:2]:
            yield url


def _is_header(header: tuple[str, str]) -> bool:
    name, value = header
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable()


def _concealed(headers: Headers) -> Headers:
    for value in headers.values():
        scheme, _, token = value.rpartition(" ")
        conceal(token)
        if scheme == "Basic":
            with contextlib.suppress(ValueError):  # what it holds is between the operator and the server
                conceal(base64.b64decode(token).decode("utf-8", "replace").partition(":")[2])
    return headers


def _split(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")
