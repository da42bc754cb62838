"""The HTTP server that the gateway's application runs in, and what it bears."""

from __future__ import annotations

import flask
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

from topology.gateway.app import MAX_REQUEST_BYTES

_MOST_HEADER_BYTES = 128 * 1024  # queries are sent in addresses too
_MOST_CONNECTIONS = 1000
_IDLE_SECONDS = 60


def make_server(app: flask.Flask, host: str, port: int, *, threads: int = 16) -> BaseWSGIServer | MultiSocketServer:
    """A server for an application, listening, not running yet.

    Slow requests cost no thread: bodies are read to their end before one begins to work.

    Args:
        app: From :func:`~topology.gateway.app.create_app`.
        host: The address to listen on.
        port: The port; 0: any free one.
        threads: Requests answered at the same time.

    Raises:
        OSError: The address cannot be listened on.
    """
    return create_server(
        app,
        host=host,
        port=port,
        threads=threads,
        ident="catena",
        asyncore_use_poll=True,  # select() fails in programs with more than a thousand open files
        connection_limit=_MOST_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=_IDLE_SECONDS // 2,
        max_request_header_size=_MOST_HEADER_BYTES,
        max_request_body_size=2 * MAX_REQUEST_BYTES,  # the application refuses less, and says so in its own way
        # Only while more is read from a connection is it seen that the client has gone away.
        channel_request_lookahead=1,
    )
