"""The HTTP server of the gateway, and its limits."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, TypeAlias

from waitress.server import BaseWSGIServer, MultiSocketServer, TcpWSGIServer, create_server

from topology.gateway.api.app import MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

GatewayServer: TypeAlias = BaseWSGIServer | MultiSocketServer

_MOST_HEADER_BYTES = 128 * 1024  # a URL may hold a query
_MOST_CONNECTIONS = 1000


def make_server(
    app: WSGIApplication, host: str, port: int, *, threads: int = 32, idle_seconds: int = 60
) -> GatewayServer:
    """Make a server that listens and does not run yet.

    Slow clients cost no thread: a thread starts once the whole request was read, and responses are buffered.

    Args:
        app: From :func:`~topology.gateway.api.app.create_app`.
        host: The address to listen on.
        port: The port; 0: any free one.
        threads: Requests answered at the same time.
        idle_seconds: Seconds until a silent connection is closed, unless a response is being made.

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
        max_request_body_size=2
        * MAX_REQUEST_BYTES,  # the application refuses smaller ones already, with a problem document
        # Waitress notices that a client has gone only while it reads from the connection.
        channel_request_lookahead=1,
        clear_untrusted_proxy_headers=False,  # the guard knows which proxies to trust
        log_socket_errors=False,  # clients may break off at any time
    )
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Waitress closes an idle connection only once it can write to it, so never if the client does not read its response.
        # The kernel closes it then. Connections inherit the option from the listening socket.
        for listening in channels.values():
            if isinstance(listening, TcpWSGIServer) and listening.socket:
                listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, idle_seconds * 1000)
    return server


def port_of(server: GatewayServer) -> int:
    """Return the port that a server listens on."""
    places: list[tuple[str, int]] = getattr(server, "effective_listen", [])  # of a server on several sockets
    return places[0][1] if places else int(server.effective_port)  # type: ignore[union-attr]
