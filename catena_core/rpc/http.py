"""The ``@rpc`` methods of a link over HTTP, for programs that are no links.

``POST /`` takes JSON-RPC 2.0, ``GET /`` lists the methods::

    curl -d '{"jsonrpc": "2.0", "method": "add", "params": [3], "id": 1}' http://127.0.0.1:8000/
"""

from __future__ import annotations

import inspect
import socket
import threading
from contextlib import suppress
from typing import Any

import flask
from waitress import wasyncore
from waitress.server import create_server

from catena_core.errors import InvalidRequestError, UsageError
from catena_core.rpc import json_rpc
from catena_core.rpc.methods import Context, Methods

MAX_BODY_BYTES = 1024 * 1024

_JSON = "application/json"
_CLOSING_TIMEOUT = 2


class HttpServer:
    """Serves methods over HTTP, from when it is made until it is closed.

    Every program that reaches the port may call every method. Requests of web pages are refused, since a browser would let
    any page call the servers of its own host.

    Args:
        methods: The methods.
        port: Where to listen; 0 for any free port.
        address: The address to listen on; by default only programs on the same host can connect.
        threads: How many requests are run side by side.

    Attributes:
        port: Where it listens.

    Raises:
        UsageError: The port cannot be had.
    """

    def __init__(self, methods: Methods, port: int, address: str = "127.0.0.1", threads: int = 4) -> None:
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, port), family=family)
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot listen on {address}:{port} ({error}); choose another port") from error
        self.port: int = listener.getsockname()[1]
        self._sockets: dict[int, Any] = {}
        options: Any = {
            "sockets": [listener],
            "threads": threads,
            "ident": "catena",
            "max_request_body_size": MAX_BODY_BYTES,
        }
        self._server: Any = create_server(create_app(methods), map=self._sockets, **options)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="rpc http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let requests under way finish, for at most two seconds, and stop listening."""
        if self._stop.is_set():
            return
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=_CLOSING_TIMEOUT)
        self._stop.set()
        with suppress(OSError):  # the thread may have ended by itself, and have closed everything
            self._server.pull_trigger()
        self._thread.join(_CLOSING_TIMEOUT)

    def _serve(self) -> None:
        # The server's own run() cannot be ended from another thread; the sockets belong to this one.
        while not self._stop.is_set():
            wasyncore.loop(timeout=1, map=self._sockets, count=1, use_poll=True)
        wasyncore.close_all(self._sockets)


def create_app(methods: Methods) -> flask.Flask:
    """Make the WSGI application that serves methods."""
    app = flask.Flask("rpc", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider

    @app.before_request
    def refuse_web_pages() -> flask.Response | None:
        """Refuse requests with an Origin, which browsers add and other programs do not."""
        if "Origin" in flask.request.headers:
            return _failure(403, "requests of web pages are not served")
        return None

    @app.get("/")
    def index() -> flask.Response:
        """List the methods."""
        return flask.jsonify(
            {
                name: {"signature": f"{name}{method.signature}", "description": inspect.getdoc(method.function) or ""}
                for name, method in sorted(methods.items())
            }
        )

    @app.post("/")
    def call() -> flask.Response:
        """Answer a JSON-RPC request."""
        context = Context("http", "http", flask.request.remote_addr)
        response = json_rpc.respond(
            flask.request.get_data(), lambda method, args, kwargs: methods.run(method, args, kwargs, context)
        )
        if response is None:
            return flask.Response(status=204)
        return flask.Response(response, content_type=_JSON)

    @app.errorhandler(404)
    @app.errorhandler(405)
    def elsewhere(error: Any) -> flask.Response:
        return _failure(error.code, "POST / takes JSON-RPC 2.0, GET / lists the methods")

    return app


def _failure(status: int, message: str) -> flask.Response:
    return flask.Response(json_rpc.failure(InvalidRequestError(message)), status=status, content_type=_JSON)
