"""An HTTP server in this process that answers as a test tells it to, however oddly, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: tuple[str, int]


class Handler(BaseHTTPRequestHandler):
    """One connection; `say` answers, and odd answers may write to `wfile` themselves."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def say(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """Make an answer in good form. Underscores in the names of headers stand for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def say_json(self, content: Any, status: int = 200) -> None:
        self.say(json.dumps(content).encode(), status, Content_Type="application/json")

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        odd = self.server.odd
        odd.asked.append(Asked(self.command, self.path, dict(self.headers), body, self.client_address))
        path = self.path.partition("?")[0]
        answer = odd.answers.get(f"{self.command} {path}") or odd.answers.get(path)
        if answer is None:
            self.say(b"nothing here", 404)
        else:
            answer(self)

    do_GET = do_PUT = do_POST = do_DELETE = _handle

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Answer = Callable[[Handler], object]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the default of 5, connections of many clients wait a second to be tried again
    odd: OddServer

    def handle_error(self, *_: object) -> None:
        """Ignore a client that hangs up: many of these tests are about that."""


class OddServer:
    """Answers by path, or by method and path where that is given: `server.answers["PUT /data"] = lambda request: …`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.odd = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang(self, request: Handler) -> None:
        """No answer until the server is stopped."""
        self.stopping.wait(3600)
        request.close_connection = True

    def trickle(self, request: Handler) -> None:
        """Send a byte now and then, for ever."""
        request.send_response(200)
        request.end_headers()
        while not self.stopping.is_set():
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.05)
        request.close_connection = True

    def endless(self, request: Handler) -> None:
        """Send a body without an end, and without a length."""
        request.send_response(200)
        request.end_headers()
        while not self.stopping.is_set():
            request.wfile.write(b" " * 65536)


@contextmanager
def odd_server(tls: ssl.SSLContext | None = None) -> Iterator[OddServer]:
    """Run a server, and stop it in the end."""
    server = OddServer(tls)
    try:
        yield server
    finally:
        server.stop()


def closed_port() -> int:
    """Find a port of this machine on which nothing listens."""
    with odd_server() as server:
        return int(server.url.rpartition(":")[2])


def saying(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """Make an answer that is always the same."""
    return lambda request: request.say(body, status, **headers)


def saying_json(content: Any, status: int = 200) -> Answer:
    """Make the same in JSON."""
    return lambda request: request.say_json(content, status)
