"""Nodes behind proxies that spoil their answers, in the ways in which networks and servers do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from urllib.parse import urlsplit

import requests


class Proxy:
    """Passes requests on to a node, and the answers back.

    Attributes:
        url: The endpoint that stands for the node's.
        fault: What is done with answers instead; ``None``: nothing.
        requests: How many came.
        stopping: Set in the end, for faults that wait.
    """

    def __init__(self, node: str) -> None:
        parts = urlsplit(node)
        self.node = f"{parts.scheme}://{parts.netloc}"
        self.fault: Fault | None = None
        self.requests = 0
        self.stopping = threading.Event()
        self.session = requests.Session()
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_port}{parts.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.session.close()


class Exchange(BaseHTTPRequestHandler):
    """One connection from the gateway, and what the node answered to the latest request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server
    answer: bytes
    content_type: str

    @property
    def proxy(self) -> Proxy:
        """Where it passes through."""
        return self.server.proxy

    def say(self, body: bytes, status: int = 200, content_type: str = "text/tab-separated-values") -> None:
        """Answer in good form."""
        self.begin(len(body), status, content_type)
        self.wfile.write(body)
        self.wfile.flush()

    def begin(self, length: int, status: int = 200, content_type: str = "text/tab-separated-values") -> None:
        """Send headers that promise a body."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def lasts(self, seconds: float) -> bool:
        """Whether the fault goes on for so long."""
        fault, until = self.proxy.fault, time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.proxy.fault is not fault or self.proxy.stopping.wait(min(left, 0.05)):
                return False
        return True

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
        self.proxy.requests += 1
        url = self.proxy.node + self.path
        answer = self.proxy.session.request(self.command, url, data=body, headers=headers, timeout=120)
        self.answer, self.content_type = answer.content, answer.headers.get("Content-Type", "")
        if self.proxy.fault:
            self.proxy.fault(self)
        else:
            self.say(self.answer, answer.status_code, self.content_type)

    do_GET = do_POST = _pass_on

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Fault = Callable[[Exchange], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, *_: object) -> None:
        """The gateway hangs up on nodes that are slow."""


@contextmanager
def proxies(nodes: Sequence[str]) -> Iterator[list[Proxy]]:
    """A proxy for each node, stopped in the end."""
    made: list[Proxy] = []
    try:
        for node in nodes:
            made.append(Proxy(node))
        yield made
    finally:
        for proxy in made:
            proxy.stop()


def cut(share: float) -> Fault:
    """The connection ends when a share of the answer has been sent.

    Args:
        share: From 0, nothing but the headers, to 1, all but the last byte.
    """

    def fault(exchange: Exchange) -> None:
        exchange.begin(len(exchange.answer), content_type=exchange.content_type)
        exchange.wfile.write(exchange.answer[: int(share * max(len(exchange.answer) - 1, 0))])
        exchange.wfile.flush()
        exchange.close_connection = True

    return fault


def cut_after_a_row(exchange: Exchange) -> None:
    """The connection ends after a whole row, in an answer that did not tell its length: nothing seems to be amiss."""
    end = exchange.answer.rfind(b"\n", 0, max(len(exchange.answer) - 1, 0)) + 1
    exchange.send_response(200)
    exchange.send_header("Content-Type", exchange.content_type)
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    if end:
        exchange.wfile.write(b"%x\r\n%b\r\n" % (end, exchange.answer[:end]))
    exchange.wfile.flush()
    exchange.close_connection = True


def reset(exchange: Exchange) -> None:
    """The connection is reset in the middle of the answer."""
    exchange.begin(len(exchange.answer), content_type=exchange.content_type)
    exchange.wfile.write(exchange.answer[: len(exchange.answer) // 2])
    exchange.wfile.flush()
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()
    exchange.close_connection = True


def trickle(exchange: Exchange) -> None:
    """A byte now and then."""
    exchange.begin(len(exchange.answer) + 10_000, content_type=exchange.content_type)
    for byte in exchange.answer + b"\n" * 10_000:
        exchange.wfile.write(bytes([byte]))
        exchange.wfile.flush()
        if not exchange.lasts(0.05):
            break
    exchange.close_connection = True


def stall(exchange: Exchange) -> None:
    """Half of the answer, and then nothing."""
    exchange.begin(len(exchange.answer), content_type=exchange.content_type)
    exchange.wfile.write(exchange.answer[: len(exchange.answer) // 2])
    exchange.wfile.flush()
    exchange.lasts(60)
    exchange.close_connection = True


def silence(exchange: Exchange) -> None:
    """No answer."""
    exchange.lasts(60)
    exchange.close_connection = True


def garbage(exchange: Exchange) -> None:
    """Not HTTP."""
    exchange.wfile.write(bytes(range(256)) * 4)
    exchange.wfile.flush()
    exchange.close_connection = True


def _spoilt(body: bytes) -> Fault:
    """The header line of the answer, and rows that are none."""

    def fault(exchange: Exchange) -> None:
        header = exchange.answer.partition(b"\n")[0]
        exchange.say(header + b"\n" + body, content_type=exchange.content_type)

    return fault


FAILURES: Mapping[str, Fault] = MappingProxyType(
    {
        "answers 500": lambda exchange: exchange.say(b"internal error", 500, "text/plain"),
        "answers 503 with rows": lambda exchange: exchange.say(exchange.answer, 503, exchange.content_type),
        "answers with a page": lambda exchange: exchange.say(b"<html>Welcome!</html>", content_type="text/html"),
        "answers with other columns": lambda exchange: exchange.say(
            b"?nothing\n1\n", content_type=exchange.content_type
        ),
        "answers with garbage": garbage,
        "answers with rows of garbage": _spoilt(b"\xff\xfe\t\x00\n<\t>\t\n"),
        "answers with text in its rows": _spoilt(b"Error: out of memory\n"),
        "answers with nothing": lambda exchange: exchange.say(b"", content_type=exchange.content_type),
        "breaks off at the start": cut(0),
        "breaks off in the middle": cut(0.5),
        "breaks off before the last byte": cut(1),
        "breaks off after a row": cut_after_a_row,
        "resets the connection": reset,
    }
)
"""Faults that show at once."""

HANGS: Mapping[str, Fault] = MappingProxyType({"is silent": silence, "stalls": stall, "trickles": trickle})
"""Faults that only time shows."""
