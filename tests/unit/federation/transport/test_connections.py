"""Connections are kept, shared and replaced; answers come whole, over TLS too."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from requests.exceptions import Timeout

from federation.transport import Session, UnsafeError
from tests.helpers.odd_server import OddServer, odd_server, saying
from tests.helpers.tls import server_context
from tests.helpers.transport import LIMIT, OK, get, raw, resolving, transport_of


class TestAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1",
            b"HTTP/1.1 x\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n",
            b"HTTP/1.1 000 OK\r\n\r\n",
            bytes(range(256)) * 4,
            OK + b"Content-Length: 10\r\n\r\nhalf",
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nha",
            OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        ],
    )
    def test_no_http_or_half_an_answer_is_none(self, server: OddServer, session: Session, answer: bytes) -> None:
        server.answers["/a"] = raw(answer)

        with pytest.raises(requests.ConnectionError):
            get(session, f"{server.url}/a")

        assert len(server.asked) == 1

    def test_chunks_are_put_together(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = lambda request: request.wfile.write(
            OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n5;x=y\r\n more\r\n0\r\nX-Trailer: x\r\n\r\n"
        )

        assert [get(session, f"{server.url}/a").content for _ in range(2)] == [b"some more"] * 2
        assert len({asked.connection for asked in server.asked}) == 1

    def test_interim_answers_are_skipped(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = lambda request: request.wfile.write(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
            + OK
            + b"Content-Length: 2\r\n\r\nok"
        )

        answer = get(session, f"{server.url}/a")

        assert (answer.status_code, answer.content, "link" in answer.headers) == (200, b"ok", False)


class TestConnections:
    def test_a_kept_one_that_the_server_closes_is_replaced_once(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"ok")
        server.answers["/closes"] = raw()
        get(session, f"{server.url}/a")

        with pytest.raises(requests.ConnectionError):
            session.put(f"{server.url}/closes", data=b"x", timeout=60)

        assert [asked.path for asked in server.asked] == ["/a", "/closes", "/closes"]
        assert server.asked[0].connection == server.asked[1].connection != server.asked[2].connection

    def test_a_fresh_one_that_the_server_closes_is_not_replaced(self, server: OddServer, session: Session) -> None:
        server.answers["/closes"] = raw()

        with pytest.raises(requests.ConnectionError):
            get(session, f"{server.url}/closes")

        assert len(server.asked) == 1

    def test_one_that_the_server_will_close_is_not_kept(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"ok", Connection="close")

        assert [get(session, f"{server.url}/a").content for _ in range(2)] == [b"ok"] * 2
        assert len({asked.connection for asked in server.asked}) == 2

    def test_one_whose_answer_was_refused_is_closed(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"x" * (LIMIT + 1))
        for _ in range(2):
            with pytest.raises(UnsafeError):
                get(session, f"{server.url}/a")

        assert len({asked.connection for asked in server.asked}) == 2

    def test_the_server_asked_longest_ago_loses_its_own(
        self, server: OddServer, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("federation.transport._MAX_IDLE_CONNECTIONS", 2)
        with odd_server() as second, odd_server() as third:
            for one in (server, second, server, third, server, second):
                one.answers["/a"] = saying(b"ok")
                get(session, f"{one.url}/a")

            assert len({asked.connection for asked in server.asked}) == 1
            assert len({asked.connection for asked in second.asked}) == 2

    def test_close_closes_them(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"ok")
        get(session, f"{server.url}/a")

        session.close()

        assert not transport_of(session)._idle
        assert get(session, f"{server.url}/a").content == b"ok"
        assert len({asked.connection for asked in server.asked}) == 2

    def test_threads_share_them_and_never_an_answer(self, server: OddServer, session: Session) -> None:
        for number in range(20):
            server.answers[f"/{number}"] = saying(str(number).encode() * 1000)

        with ThreadPoolExecutor(8) as threads:
            found = list(
                threads.map(lambda number: get(session, f"{server.url}/{number % 20}", 20).content, range(400))
            )

        assert found == [str(number % 20).encode() * 1000 for number in range(400)]
        assert len({asked.connection for asked in server.asked}) <= 8


class TestTLS:
    @pytest.fixture
    def encrypted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddServer]:
        context, certificate = server_context(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with odd_server(context) as server:
            yield server

    def test_a_connection_is_kept(self, encrypted: OddServer, session: Session) -> None:
        encrypted.answers["/a"] = saying(b"x" * LIMIT)
        url = f"{encrypted.url}/a"

        assert [len(session.put(url, data=b"x" * LIMIT, timeout=120).content) for _ in range(3)] == [LIMIT] * 3

        assert len({asked.connection for asked in encrypted.asked}) == 1
        assert encrypted.asked[0].body == b"x" * LIMIT

    def test_an_unknown_certificate_is_refused(
        self, encrypted: OddServer, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "none.pem").touch()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        encrypted.answers["/a"] = saying(b"ok")

        with pytest.raises(requests.ConnectionError, match="certificate"):
            session.get(f"{encrypted.url}/a", timeout=60, verify=False)

        assert not encrypted.asked

    @pytest.mark.parametrize(
        ("setting", "advice"),
        [
            (None, "self-signed certificate.*; SSL_CERT_FILE names a file of further certificates to trust"),
            ("no/such/file.pem", "self-signed certificate.*; SSL_CERT_FILE=no/such/file.pem is no file"),
            ("none.pem", "trust anchors.*; SSL_CERT_FILE should name a file of certificates in PEM"),
        ],
    )
    def test_an_unknown_certificate_is_refused_with_the_setting_that_would_help(
        self,
        encrypted: OddServer,
        session: Session,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        setting: str | None,
        advice: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "none.pem").touch()
        monkeypatch.delenv("SSL_CERT_FILE")
        if setting:
            monkeypatch.setenv("SSL_CERT_FILE", setting)

        with pytest.raises(requests.ConnectionError, match=advice):
            get(session, f"{encrypted.url}/a")

    def test_https_to_a_server_without_tls_says_so(self, server: OddServer, session: Session) -> None:
        with pytest.raises(requests.ConnectionError, match="no TLS is spoken there"):
            get(session, f"{server.url.replace('http:', 'https:')}/a")

    def test_so_is_that_of_another_host(self, encrypted: OddServer, session: Session) -> None:
        port = urlsplit(encrypted.url).port
        resolving(session, f"node.example:{port}:127.0.0.1")

        with pytest.raises(requests.ConnectionError, match=r"does not match|no alternative certificate"):
            get(session, f"https://node.example:{port}/a")

    @pytest.mark.parametrize("fault", ["hang", "trickle"])
    def test_a_server_that_hangs_or_trickles_does_not_outlast_the_deadline(
        self, encrypted: OddServer, session: Session, fault: str
    ) -> None:
        encrypted.answers["/a"] = getattr(encrypted, fault)

        with pytest.raises(Timeout):
            get(session, f"{encrypted.url}/a", 1)

    def test_a_handshake_that_trickles_does_not_outlast_the_deadline(self, session: Session) -> None:
        has_ended = threading.Event()

        def trickle(listening: socket.socket) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB
                while not has_ended.wait(0.05):
                    connection.sendall(b"\x00")

        with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
            threads.submit(trickle, listening)
            try:
                with pytest.raises(Timeout):
                    get(session, f"https://127.0.0.1:{listening.getsockname()[1]}/", 0.5)
            finally:
                has_ended.set()
