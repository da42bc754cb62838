"""The HTTP server that the gateway's application runs in, and what it bears."""

from __future__ import annotations

import socket
from typing import Any

import flask
from waitress.server import BaseWSGIServer, MultiSocketServer, TcpWSGIServer, create_server

from topology.gateway.api.app import MAX_REQUEST_BYTES

_MOST_HEADER_BYTES = 128 * 1024  # queries are sent in addresses too
_MOST_CONNECTIONS = 1000


def make_server(
    app: flask.Flask, host: str, port: int, *, threads: int = 32, idle_seconds: int = 60
) -> BaseWSGIServer | MultiSocketServer:
    """A server for an application, listening, not running yet.

    Slow clients cost no thread: requests are read to their end before one begins to work, and answers that are not read are put
    aside.

    Args:
        app: From :func:`~topology.gateway.api.app.create_app`.
        host: The address to listen on.
        port: The port; 0: any free one.
        threads: Requests answered at the same time.
        idle_seconds: Seconds after which a connection on which nothing moves is closed, unless an answer is being made.

    Raises:
        OSError: The address cannot be listened on.
    """
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
        max_request_body_size=2 * MAX_REQUEST_BYTES,  # the application refuses less, and says so in its own way
        # Only while more is read from a connection is it seen that the client has gone away.
        channel_request_lookahead=1,
        log_socket_errors=False,  # clients may break off when they like
    )
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Waitress closes idle connections once they can be written to, so never those whose client does not read what it asked
        # for. The kernel does; connections have this from the socket that accepts them.
        for listening in channels.values():
            if isinstance(listening, TcpWSGIServer) and listening.socket:
                listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, idle_seconds * 1000)
    return server
