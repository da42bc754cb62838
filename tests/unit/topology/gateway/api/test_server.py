"""The gateway as it is served: clients that leave, that are slow, and that speak HTTP as they like."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import flask
import pytest

from federation.budget import Limits
from federation.engine import Engine
from tests.helpers.gateway import Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology.gateway.api.app import MAX_REQUEST_BYTES
from topology.gateway.api.server import make_server

pytestmark = pytest.mark.slow

G = "https://p.example/1"
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
ENDLESS = "SELECT (COUNT(*) AS ?n) { " + " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(40)) + " }"
PRODUCT = "SELECT * { " + " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(14)) + " } LIMIT "
LARGE = "/sparql?" + urlencode({"query": PRODUCT + "2000"})
TOO_LARGE = "/sparql?" + urlencode({"query": PRODUCT + "50000"})
MOST_RESULT_BYTES = 16 * 1024 * 1024
TIMEOUT = 600
POST = "POST /sparql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


class Served:
    """A gateway that can be reached.

    Attributes:
        port: Where.
        engine: What answers; it evaluates one query at a time.
    """

    def __init__(self, port: int, engine: Engine) -> None:
        self.port = port
        self.engine = engine

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=300)

    def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """One request, byte by byte as it is; the answer's status, headers and body."""
        with self.connect() as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def get(self, target: str, version: str = "HTTP/1.1", **headers: str) -> tuple[int, dict[str, str], bytes]:
        lines = [f"GET {target} {version}", "Host: localhost", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def post(self, body: bytes, content_type: str = "application/sparql-query") -> tuple[int, dict[str, str], bytes]:
        return self.send(f"{POST}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def count(self) -> int:
        """How many triples there are."""
        status, _, body = self.get("/sparql?" + urlencode({"query": COUNT}), Cache_Control="no-cache")
        assert status == 200, body
        return int(json.loads(body)["results"]["bindings"][0]["n"]["value"])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    limits = Limits(max_result_bytes=MOST_RESULT_BYTES)
    engine = Engine(timeout=TIMEOUT, source_timeout=TIMEOUT, workers=1, limits=limits)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def _server(engine: Engine) -> Iterator[tuple[Served, list[Serving]]]:
    """Give a server of the last of some gateways; to start one takes a second."""
    servings: list[Serving] = []
    with serving_app(lambda *request: servings[-1].app(*request), threads=4) as server:
        yield Served(server.effective_port, engine), servings


@contextmanager
def serving_app(app: Any, **limits: Any) -> Iterator[Any]:
    """Return a server of an application, which runs."""
    server = make_server(app, "127.0.0.1", 0, **limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(120)


@pytest.fixture
def served(_server: tuple[Served, list[Serving]], engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Served:
    """Give a gateway over two nodes, with one offering on both of them."""
    served, servings = _server
    serving = Serving(engine)
    for name, node in zip("ab", nodes, strict=True):
        serving.has(name, node.url)
        serving.place(name, described(G))
    serving.list("0xa", described(G))
    servings.append(serving)
    return served


def at_work(served: Served) -> Callable[[], bool]:
    """Whether the only evaluator is at work: whoever asks for it now would have to wait."""
    return lambda: served.engine._backend.workers._idle.empty()


class TestClientsThatLeave:
    @pytest.mark.parametrize("request_line", ["GET", "POST"])
    def test_their_work_ends(self, served: Served, request_line: str) -> None:
        """The one evaluator is free again long before the time for a query is over."""
        working = at_work(served)
        query = urlencode({"query": ENDLESS})
        with served.connect() as connection:
            if request_line == "GET":
                connection.sendall(f"GET /sparql?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            else:
                head = f"{POST}Content-Type: application/x-www-form-urlencoded\r\n"
                connection.sendall(f"{head}Content-Length: {len(query)}\r\n\r\n{query}".encode())
            eventually(working, message="the endless query did not begin")
        start = time.monotonic()

        assert served.count() == described(G).triples.count("\n")
        assert time.monotonic() - start < TIMEOUT / 3

    def test_so_does_what_waits_for_a_node(self, served: Served, nodes: tuple[Sandbox, Sandbox]) -> None:
        """Both nodes hang, so there is nothing else to ask; threads of the server are free again all the same."""
        for node in nodes:
            node.faults(hang=True)
        waiting = [served.connect() for _ in range(4)]
        for number, connection in enumerate(waiting):
            query = urlencode({"query": f"ASK {{ ?s ?p {number} }}"})
            connection.sendall(f"GET /sparql?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for connection in waiting:
            connection.close()
        start = time.monotonic()

        assert served.get("/health")[0] == 200
        assert time.monotonic() - start < TIMEOUT / 3

    def test_others_are_not_touched(self, served: Served) -> None:
        """A query that somebody waits for stays when another's client leaves."""
        with served.connect() as staying:
            query = urlencode({"query": COUNT})
            with served.connect() as leaving:
                leaving.sendall(f"GET /sparql?{urlencode({'query': ENDLESS})} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                eventually(at_work(served))
                staying.sendall(f"GET /sparql?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            response = http.client.HTTPResponse(staying)
            response.begin()

            assert response.status == 200


class TestLargeAnswers:
    @pytest.mark.parametrize(
        "accept", ["application/sparql-results+json", "application/sparql-results+xml", "text/csv"]
    )
    def test_they_come_in_parts(self, served: Served, accept: str) -> None:
        status, headers, body = served.get(LARGE, Accept=accept)
        assert (status, headers["transfer-encoding"], "etag" in headers) == (200, "chunked", False)
        assert headers["catena-completeness"] == "complete"
        assert len(body) > 2**20
        _, packed, compressed = served.get(LARGE, Accept=accept, Accept_Encoding="gzip")
        assert packed["content-encoding"] == "gzip"
        assert len(compressed) < len(body) / 5
        assert len(gzip.decompress(compressed)) == len(body)

    def test_one_that_breaks_off_is_none(self, served: Served) -> None:
        for headers in ({}, {"Accept_Encoding": "gzip"}):
            with pytest.raises(http.client.IncompleteRead):
                served.get(TOO_LARGE, **headers)
        assert served.count() > 0

    def test_clients_that_cannot_tell_get_them_whole(self, served: Served) -> None:
        status, headers, body = served.get(LARGE, "HTTP/1.0")
        assert (status, int(headers["content-length"]), "transfer-encoding" in headers) == (200, len(body), False)
        assert len(json.loads(body)["results"]["bindings"]) == 2000
        assert served.get(TOO_LARGE, "HTTP/1.0")[0] == 422

    def test_head_begins_them_only(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(f"HEAD {LARGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 200")
        assert received.index(b"\r\n\r\n") == len(received) - 4
        assert served.count() > 0

    @pytest.mark.parametrize("leaves", [True, False])
    def test_a_client_that_does_not_take_one_holds_no_evaluator(self, served: Served, leaves: bool) -> None:
        with served.connect() as connection:
            connection.sendall(f"GET {LARGE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.recv(4) == b"HTTP"
            if leaves:
                connection.close()
            assert served.count() > 0
            eventually(lambda: not at_work(served)())


class TestSlowClients:
    def test_those_that_send_slowly_hold_up_nobody(self, served: Served) -> None:
        """There are more of them than threads."""
        slow = [served.connect() for _ in range(20)]
        for connection in slow[:10]:
            connection.sendall(b"POST /sparql HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nquery=")
        for connection in slow[10:]:
            connection.sendall(b"GET /sparql?query=")

        assert served.count() > 0
        for connection in slow:
            connection.close()

    def test_a_body_in_pieces_is_one(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(
                f"{POST}Content-Type: application/sparql-query\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            )
            for byte in b"ASK {}":
                connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert json.loads(response.read())["boolean"] is True

    def test_those_that_never_read_are_left(self, nodes: tuple[Sandbox, Sandbox]) -> None:
        app = flask.Flask(__name__)
        app.add_url_rule("/<int:size>", "zeros", lambda size: bytes(size))
        with serving_app(app, threads=1, idle_seconds=1) as server:
            stuck = socket.create_connection(("127.0.0.1", server.effective_port))
            stuck.sendall(2 * b"GET /30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: server.active_channels, message="it was not accepted")

            eventually(lambda: not server.active_channels, message="the connection is still there")
            with urlopen(f"http://127.0.0.1:{server.effective_port}/1", timeout=240) as response:
                assert response.status == 200
            stuck.close()


class TestLargeRequests:
    def test_a_body_that_is_too_large_is_told_so(self, served: Served) -> None:
        status, headers, body = served.post(b"#" * (MAX_REQUEST_BYTES + 1))
        assert (status, headers["content-type"]) == (413, "application/problem+json")
        assert str(MAX_REQUEST_BYTES) in json.loads(body)["detail"]

    def test_one_that_is_much_too_large_is_not_read(self, served: Served) -> None:
        head = f"{POST}Content-Type: application/sparql-query\r\nContent-Length: 99999999999\r\n\r\n"
        status, headers, body = served.send(head.encode())
        assert (status, headers["content-type"]) == (413, "application/problem+json")
        assert f"more than the {MAX_REQUEST_BYTES} bytes" in json.loads(body)["detail"]
        assert headers["access-control-allow-origin"] == "*"

    def test_nor_is_an_endless_one(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("topology.gateway.api.connections._LINGER_SECONDS", 0.5)
        with served.connect() as connection, pytest.raises(OSError):
            connection.sendall(
                f"{POST}Content-Type: application/sparql-query\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            )
            while True:
                connection.sendall(b"10000\r\n" + b"#" * 0x10000 + b"\r\n")
        assert served.count() > 0

    def test_a_long_query_fits_into_an_address(self, served: Served) -> None:
        assert served.get("/sparql?query=" + quote(COUNT + "#" + "x" * 100_000))[0] == 200

    def test_one_that_is_too_long_does_not(self, served: Served) -> None:
        assert served.get("/sparql?query=" + quote(COUNT + "#" + "x" * 200_000))[0] in (414, 431)
        status, headers, body = served.get("/health", X="x" * 200_000)
        assert (status, headers["content-type"]) == (431, "application/problem+json")
        assert "POST" in json.loads(body)["detail"]


class TestOddRequests:
    @pytest.mark.parametrize(
        ("request_head", "status"),
        [
            ("GET /\xff HTTP/1.1\r\n\r\n", 400),
            ("\x00\r\n\r\n", 400),
            (f"{POST}Content-Length: many\r\n\r\n", 400),
            (f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
            (f"{POST}Transfer-Encoding: gzip\r\n\r\n", 501),
        ],
    )
    def test_one_that_is_no_request_gets_an_error_like_all_others(
        self, served: Served, request_head: str, status: int
    ) -> None:
        found, headers, body = served.send(request_head.encode("latin-1"))
        assert (found, headers["content-type"]) == (status, "application/problem+json")
        assert json.loads(body)["status"] == status

    def test_an_old_version_of_http(self, served: Served) -> None:
        status, _, body = served.send(f"GET /sparql?query={quote('ASK {}')} HTTP/1.0\r\n\r\n".encode())
        assert (status, json.loads(body)["boolean"]) == (200, True)

    @pytest.mark.parametrize(
        "accept",
        ["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "*", ",", "\xff", "*/*;q=x", ";" * 1000 + "*/*"],
    )
    def test_headers_that_are_hardly_any(self, served: Served, accept: str) -> None:
        status, headers, _ = served.get(f"/sparql?query={quote('ASK {}')}", Accept=accept)
        assert status in (200, 406)
        assert headers["content-type"] in ("application/sparql-results+json", "application/problem+json")

    @pytest.mark.parametrize(
        "target",
        [
            "/sparql?query=%",
            "/sparql?query=%zz",
            "/sparql?query=ASK+%7B%7D%00",
            "/sparql?query[]=1",
            "/sparql?&&&=",
            "/sparql?" + "a&" * 10_000,
            "/sparql?query=ASK%7B%7D&default-graph-uri=%ff",
            "/sparql?query=ASK%7B%7D&default-graph-uri=x%3E%20y",
            "/sparql?query=ASK%7B%7D&explain=%00",
        ],
    )
    def test_addresses_that_ask_for_nothing(self, served: Served, target: str) -> None:
        status, headers, body = served.get(target)
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["detail"]

    @pytest.mark.parametrize("braces", ["{", "\xe9 {", "ASK { ?s ?p 'é' }"])
    def test_text_in_the_encoding_of_old(self, served: Served, braces: str) -> None:
        status, _, body = served.post(braces.encode("latin-1"))
        assert status == 400
        assert json.loads(body)["detail"]

    def test_a_target_that_was_escaped_hardly(self, served: Served) -> None:
        """Blanks end a target, and there are only ASCII characters in one; all else may be as it was typed."""
        status, _, body = served.get("/sparql?query=ASK{?s+?p+'\"<>{}|^`%C3%A9'}")
        assert (status, json.loads(body)) == (200, {"head": {}, "boolean": False})
        for encoding in ("utf-8", "latin-1"):
            assert served.get("/sparql?query=ASK{?s+?p+'é'}".encode(encoding).decode("latin-1"))[0] == 400

    def test_a_client_that_speaks_tls_is_answered_at_once(self, served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port), timeout=120) as client:
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508))
            answer = b"".join(iter(lambda: client.recv(4096), b""))

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"without TLS" in answer

    def test_many_requests_on_one_connection(self, served: Served) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
            for path, status in (("/health", 200), ("/sparql?query=x", 400), ("/x", 404), ("/nodes", 200)):
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                assert response.status == status
            connection.request("HEAD", "/sparql?query=" + quote(COUNT))
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")
            assert int(response.headers["Content-Length"]) > 0
            connection.request("GET", "/health", headers={"If-None-Match": "*"})
            assert connection.getresponse().status == 200
