"""A connection to a server, made when it is first needed."""

from __future__ import annotations

import importlib
import os
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Generic, TypeVar

from catena_core.errors import UsageError

TIMEOUT = 10.0  # seconds

Client = TypeVar("Client")
Self = TypeVar("Self", bound="Connector[Any]")


class Connector(ABC, Generic[Client]):
    """Holds the client of a server for all threads of a link.

    Args:
        timeout: Seconds to wait for a connection, and for an answer.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        if timeout <= 0:
            raise UsageError(f"a timeout of {timeout:g} s leaves no time for an answer; give more than 0")
        self.timeout = timeout
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._process = 0
        self._inherited: list[Client] = []

    @property
    def client(self) -> Client:
        """The official client, connected, for all that the connector does not offer."""
        with self._lock:
            if self._client is not None and self._process != os.getpid():
                # A forked process must not talk through its parent's sockets, nor end them, as the collector might.
                self._inherited.append(self._client)
                self._client = None
            if self._client is None:
                self._client = self._connect()
                self._process = os.getpid()
            return self._client

    def open_connection(self) -> None:
        """Connect now rather than on first use."""
        _ = self.client

    def close(self) -> None:
        """End the connection, if there is one; a later call makes a new one."""
        with self._lock:
            client, self._client = self._client, None
            if client is not None and self._process == os.getpid():
                self._disconnect(client)

    def close_connection(self) -> None:
        """Close the connection: the name of ``close`` in links written for Catenae."""
        self.close()

    @abstractmethod
    def _connect(self) -> Client:
        """Make a client."""

    @abstractmethod
    def _disconnect(self, client: Client) -> None:
        """End a client."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def import_client(module: str, package: str, extra: str) -> Any:
    """Import a module that needs the client of a server.

    Args:
        module: The module.
        package: The client that it needs.
        extra: The extra of Catena that installs the client.

    Raises:
        UsageError: The client is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"{package} is not installed ({error}): pip install 'catena[{extra}]'") from error


def addresses(endpoint: str, default_port: int) -> list[tuple[str, int]]:
    """Read ``host[:port][,host[:port]…]``; an IPv6 address is written in brackets, as in ``[::1]:6379``.

    Args:
        endpoint: The text.
        default_port: The port of hosts without one.

    Raises:
        UsageError: It is something else.
    """
    return [_address(part.strip(), endpoint, default_port) for part in endpoint.split(",")]


def _address(text: str, endpoint: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    well_formed = host and not (set(host) & set(" /@[]?#")) and (bracketed or ":" not in host)
    if not (well_formed and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise UsageError(f"'{endpoint}' is no endpoint; write it as host:port, for instance localhost:{default_port}")
    return host, int(port)


def host_port(address: tuple[str, int]) -> str:
    """Write an address as ``host:port``."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
