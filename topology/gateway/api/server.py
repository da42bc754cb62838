"""The HTTP server of the gateway, and its limits."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from waitress.server import BaseWSGIServer, MultiSocketServer, TcpWSGIServer, create_server

from topology.gateway.api.app import MAX_REQUEST_BYTES
from topology.gateway.api.connections import Connection, Patience

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

GatewayServer: TypeAlias = BaseWSGIServer | MultiSocketServer

_MOST_HEADER_BYTES = 128 * 1024  # a URL may hold a query
_MOST_CONNECTIONS = 1000
_MOST_WAITING_BYTES = 1024 * 1024 * 1024


def make_server(
    app: WSGIApplication,
    host: str,
    port: int,
    *,
    threads: int = 32,
    idle_seconds: int = 60,
    waiting_bytes: int = _MOST_WAITING_BYTES,
    on_break: Callable[[str], None] = lambda reason: None,
) -> GatewayServer:
    """Make a server that listens and does not run yet.

    Slow clients cost no thread: a thread starts once the whole request was read, and responses wait in files.

    Args:
        app: From :func:`~topology.gateway.api.app.create_app`.
        host: The address to listen on.
        port: The port; 0: any free one.
        threads: Requests answered at the same time.
        idle_seconds: Seconds until a silent connection is closed, unless a response is being made.
        waiting_bytes: The bytes of responses that may wait for clients before large ones pause.
        on_break: Called with the reason when a response breaks off and its client has not gone.

    Raises:
        OSError: The server cannot listen on the address.
    """
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(errno.EADDRNOTAVAIL, "no host has such a name") from error
    channels: dict[int, Any] = {}
    server = create_server(
        app,
        map=channels,
        host=host,
        port=port,
        threads=threads,
        ident="catena",
        asyncore_use_poll=True,  # select() fails in programs with more than a thousand open files
        connection_limit=_MOST_CONNECTIONS,
        channel_timeout=idle_seconds,
        cleanup_interval=max(idle_seconds // 2, 1),
        max_request_header_size=_MOST_HEADER_BYTES,
        max_request_body_size=2 * MAX_REQUEST_BYTES,  # the application refuses smaller ones already
        # Waitress notices that a client has gone only while it reads from the connection.
        channel_request_lookahead=1,
        clear_untrusted_proxy_headers=False,  # the guard knows which proxies to trust
        log_socket_errors=False,  # clients may break off at any time
        outbuf_high_watermark=sys.maxsize,  # connections bound the bytes that wait
    )
    patience = Patience(idle_seconds, waiting_bytes, on_break)
    for listening in channels.values():
        if isinstance(listening, TcpWSGIServer):
            listening.channel_class = partial(Connection, patience=patience)  # type: ignore[assignment]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Waitress closes an idle connection only once it can write to it, so never if the client is gone without a word. The
        # kernel closes it then, later than a connection does whose client takes nothing, which tells of that. Connections
        # inherit the option from the listening socket.
        for listening in channels.values():
            if isinstance(listening, TcpWSGIServer) and listening.socket:
                listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 4 * idle_seconds * 1000)
    return server


def port_of(server: GatewayServer) -> int:
    """Return the port that a server listens on."""
    places: list[tuple[str, int]] = getattr(server, "effective_listen", [])  # of a server on several sockets
    return places[0][1] if places else int(server.effective_port)  # type: ignore[union-attr]
