"""Answers on their way to clients: that break off, that no one takes, and that have no end."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import flask
import pytest

from federation.errors import QueryCancelledError, TooLargeError
from tests.helpers.waiting import eventually
from topology.gateway.api.server import make_server

PART = bytes(1024 * 1024)


class Server:
    """A server of answers in parts.

    Attributes:
        port: Where it listens.
        reasons: The reasons why answers broke off.
        ended: How many answers came to their end or were given up.
    """

    def __init__(self, waitress: Any, reasons: list[str]) -> None:
        self.port = waitress.effective_port
        self.waitress = waitress
        self.reasons = reasons
        self.ended = 0

    def connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)

    def asked(self, path: str, method: str = "GET") -> socket.socket:
        """Ask for an answer, and do not read it."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=240)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return connection


@contextmanager
def serving(**limits: Any) -> Iterator[Server]:
    reasons: list[str] = []
    app = flask.Flask(__name__)

    @app.get("/<int:count>/<end>")
    def answer(count: int, end: str) -> flask.Response:
        def parts() -> Iterator[bytes]:
            for _ in range(count):
                yield PART
            if end == "broken":
                raise TooLargeError("it is larger than one answer may be")
            if end == "left":
                raise QueryCancelledError("the client went away")

        def ended() -> None:
            server.ended += 1

        response = flask.Response(parts())
        response.call_on_close(ended)
        return response

    waitress = make_server(app, "127.0.0.1", 0, on_break=reasons.append, **limits)
    server = Server(waitress, reasons)
    thread = threading.Thread(target=waitress.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        waitress.close()
        thread.join(120)


def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    with serving() as server, closing(server.connected()) as connection:
        connection.request("GET", "/3/broken")
        response = connection.getresponse()
        assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        assert server.reasons == [
            f"the answer to GET /3/broken broke off after {3 * len(PART)} bytes: it is larger than one answer may be"
        ]
        connection.close()
        connection.request("GET", "/3/whole")
        assert len(connection.getresponse().read()) == 3 * len(PART)


def test_a_client_that_left_is_not_told_of() -> None:
    with serving() as server, closing(server.connected()) as connection:
        connection.request("GET", "/1/left")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        assert server.reasons == []


def test_head_has_no_chunk() -> None:
    with serving() as server, server.asked("/1/whole", "HEAD") as connection:
        received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"\r\n\r\n")
        assert received.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("length", ["Content-Length: 33554432", "Transfer-Encoding: chunked"])
def test_a_client_that_sends_all_of_a_refused_request_gets_the_refusal(length: str) -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.port), timeout=240) as connection:
        connection.sendall(f"POST /1/whole HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        size = f"{len(PART):x}\r\n".encode() if "chunked" in length else b""
        for _ in range(32):
            connection.sendall(size + PART + (b"\r\n" if size else b""))
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, response.headers["Connection"]) == (413, "close")
        assert "bytes that are read" in response.read().decode()
        assert connection.recv(1) == b""
        connection.close()
        eventually(lambda: not server.waitress.active_channels)


def test_a_refused_request_without_an_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topology.gateway.api.connections._LINGER_SECONDS", 0.5)
    with serving() as server, socket.create_connection(("127.0.0.1", server.port), timeout=240) as connection:
        connection.sendall(b"POST /1/whole HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        eventually(lambda: not server.waitress.active_channels)
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_client_that_does_not_read_holds_no_thread() -> None:
    """The parts wait in a file."""
    with serving(threads=1) as server, server.asked("/100/whole") as stuck:
        eventually(lambda: server.ended)
        with closing(server.connected()) as connection:
            connection.request("GET", "/1/whole")
            assert len(connection.getresponse().read()) == len(PART)
        assert stuck.recv(4) == b"HTTP"


def test_a_client_that_reads_slowly_is_given_up() -> None:
    with serving(idle_seconds=3) as server, server.asked("/30/whole") as slow:
        eventually(lambda: slow.recv(10) and server.reasons)
        eventually(lambda: not server.waitress.active_channels)
        (reason,) = server.reasons
        assert reason.startswith("the client at 127.0.0.1 took ")
        assert reason.endswith(" are left: the connection is closed")


def test_a_client_that_reads_slowly_and_enough_is_served() -> None:
    with serving(idle_seconds=3) as server, server.asked("/30/whole") as slow:
        left = 30 * len(PART)
        while left > 0:
            left -= len(slow.recv(2**19))
            time.sleep(0.05)
        assert server.reasons == []


def test_an_answer_pauses_while_too_much_waits_for_clients() -> None:
    with serving(waiting_bytes=len(PART)) as server, server.asked("/100/whole") as slow:
        channels = server.waitress.active_channels
        eventually(lambda: any(channel.total_outbufs_len > len(PART) for channel in channels.values()))
        assert all(channel.total_outbufs_len < 4 * len(PART) for channel in channels.values())
        length = sum(len(part) for part in iter(lambda: slow.recv(2**20), b""))
        assert length > 100 * len(PART)


def test_an_answer_that_has_no_room_for_long_breaks_off() -> None:
    with serving(waiting_bytes=len(PART), idle_seconds=3) as server, server.asked("/100/whole"):
        eventually(lambda: server.ended)
        assert "clients take their answers too slowly" in server.reasons[0] or "took" in server.reasons[0]
