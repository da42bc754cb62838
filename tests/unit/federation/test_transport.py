"""The transport adapter against servers that misbehave: addresses, deadlines, sizes, connections."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pycurl
import pytest
import requests
from requests.exceptions import Timeout

from federation.networks import Networks
from federation.transport import Access, Deadline, Session, TransportAdapter, UnsafeError, check_address, to_uri
from tests.helpers.odd_server import Handler, OddServer, closed_port, odd_server, saying
from tests.helpers.tls import server_context

METADATA = "169.254.169.254"
LIMIT = 100_000


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(max_bytes=LIMIT) as session:
        yield session


def get(session: Session, url: str, seconds: float = 5, **headers: str) -> requests.Response:
    return session.get(url, headers=headers, timeout=Deadline(seconds))  # type: ignore[arg-type]


def transport_of(session: Session) -> TransportAdapter:
    adapter = session.get_adapter("http://any/")
    assert isinstance(adapter, TransportAdapter)
    return adapter


def resolving(session: Session, *names: str) -> None:
    """Let names stand for addresses, each as ``name:port:address,address``."""
    transport = transport_of(session)
    for name in names:
        host, port, _ = name.split(":", 2)
        for server in (("http", host), ("http", f"{host}:{port}"), ("https", f"{host}:{port}")):
            handle = transport._take(server)
            handle.setopt(pycurl.RESOLVE, [name])
            transport._keep(server, handle)


def raw(*parts: bytes, pause: float = 0.0, for_ever: bytes = b"") -> Callable[[Handler], None]:
    """Send these bytes, then others again and again, and close the connection."""

    def answer(request: Handler) -> None:
        for part in parts:
            request.wfile.write(part)
            request.wfile.flush()
        while for_ever and not request.server.odd.stopping.wait(pause):
            request.wfile.write(for_ever)
            request.wfile.flush()
        request.close_connection = True

    return answer


OK = b"HTTP/1.1 200 OK\r\n"


class TestDeadline:
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(raw(b"HTTP/1.1 200 ", for_ever=b"x", pause=0.05), id="status line"),
            pytest.param(raw(OK, b"X-Name: ", for_ever=b"x", pause=0.05), id="header"),
            pytest.param(raw(OK, for_ever=b"X-Name: x\r\n", pause=0.05), id="headers"),
            pytest.param(raw(OK, b"Content-Length: 9999\r\n\r\n", for_ever=b"x", pause=0.05), id="body"),
            pytest.param(raw(OK, b"\r\n", for_ever=b"x", pause=0.05), id="body of any length"),
            pytest.param(
                raw(OK, b"Transfer-Encoding: chunked\r\n\r\n", for_ever=b"1\r\nx\r\n", pause=0.05), id="chunks"
            ),
            pytest.param(
                raw(OK, b"Transfer-Encoding: chunked\r\n\r\n", for_ever=b"0", pause=0.05), id="size of a chunk"
            ),
            pytest.param(
                raw(OK, b"Transfer-Encoding: chunked\r\n\r\n0\r\n", for_ever=b"X: x\r\n", pause=0.05), id="trailers"
            ),
            pytest.param(
                raw(OK, b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", for_ever=b"x", pause=0.05),
                id="compressed body",
            ),
        ],
    )
    def test_a_server_that_trickles_does_not_outlast_it(
        self, server: OddServer, session: Session, answer: Callable[[Handler], None]
    ) -> None:
        server.answers["/a"] = answer
        start = time.monotonic()

        with pytest.raises(Timeout):
            get(session, f"{server.url}/a", 0.5)

        assert time.monotonic() - start >= 0.5

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_server_that_accepts_and_hangs_does_not_outlast_it(self, session: Session, scheme: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(Timeout):
            get(session, f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/", 0.3)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_server_that_does_not_read_does_not_outlast_it(self, scheme: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening, Session() as session, pytest.raises(Timeout):
            session.put(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/", data=b"x" * 50_000_000, timeout=0.3)

    def test_redirects_share_it(self, server: OddServer, session: Session) -> None:
        def slowly(request: Handler) -> None:
            time.sleep(0.2)
            request.say(b"", 302, Location="/a")

        server.answers["/a"] = slowly

        with pytest.raises(Timeout):
            get(session, f"{server.url}/a", 0.5)

    def test_seconds_are_a_deadline_too(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = server.trickle

        with pytest.raises(Timeout):
            session.get(f"{server.url}/a", timeout=0.3)

    def test_over_nothing_is_asked(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying()
        with pytest.raises(Timeout):
            get(session, f"{server.url}/a", -1)
        assert not server.asked

    def test_parts_are_counted_when_they_arrive(self, server: OddServer, session: Session) -> None:
        has_come = threading.Event()

        def answer(request: Handler) -> None:
            raw(OK, b"Content-Length: 10\r\n\r\n", b"first")(request)
            assert has_come.wait(120)
            request.wfile.write(b"later")

        server.answers["/a"] = answer
        sizes: list[int] = []

        def on_data(size: int) -> None:
            sizes.append(size)
            has_come.set()

        found = session.get(f"{server.url}/a", timeout=Deadline(5, on_data))  # type: ignore[arg-type]

        assert (found.content, sizes) == (b"firstlater", [5, 5])

    def test_an_error_in_the_count_ends_the_exchange(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = server.endless

        def on_data(_size: int) -> None:
            raise KeyError("enough")

        with pytest.raises(KeyError, match="enough"):
            session.get(f"{server.url}/a", timeout=Deadline(5, on_data))  # type: ignore[arg-type]


class TestAddresses:
    @pytest.mark.parametrize("ip", [METADATA, f"[::ffff:{METADATA}]", "[fe80::1]", "224.0.0.1", "[ff02::1]"])
    def test_a_name_that_stands_for_a_refused_one_is_refused(self, session: Session, ip: str) -> None:
        resolving(session, f"metadata.example:80:{ip}")

        with pytest.raises(UnsafeError, match=r"http://metadata\.example/: .* is a link-local or multicast"):
            get(session, "http://metadata.example/")

    def test_a_name_that_resolves_otherwise_later_is_judged_again(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"ok", Connection="close")
        port = urlsplit(server.url).port
        resolving(session, f"rebinds.example:{port}:127.0.0.1")
        assert get(session, f"http://rebinds.example:{port}/a").content == b"ok"

        resolving(session, f"rebinds.example:{port}:{METADATA}")
        with pytest.raises(UnsafeError, match="link-local"):
            get(session, f"http://rebinds.example:{port}/a")

    @pytest.mark.parametrize(
        "ip", ["100.64.0.1", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]", "10.0.0.1", "127.0.0.1"]
    )
    def test_a_name_in_no_network_for_strangers_is_refused(self, server: OddServer, ip: str) -> None:
        port = urlsplit(server.url).port
        server.answers["/moved"] = saying(b"", 302, Location=f"http://private.example:{port}/a")
        with Session(access=Access(Networks(("public",)))) as strangers:
            resolving(strangers, f"private.example:{port}:{ip}")
            with pytest.raises(UnsafeError, match="PROVIDER_NETWORKS"):
                get(strangers, f"http://private.example:{port}/a")
        loopback = Networks((ip_network("127.0.0.0/8"),))
        if ip != "127.0.0.1":
            with Session(access=Access(loopback)) as strangers:
                resolving(strangers, f"private.example:{port}:{ip}")
                with pytest.raises(UnsafeError, match="PROVIDER_NETWORKS"):
                    get(strangers, f"{server.url}/moved")
        assert all(asked.path == "/moved" for asked in server.asked)

    def test_a_redirect_to_such_a_name_is_refused(self, server: OddServer, session: Session) -> None:
        resolving(session, f"metadata.example:80:{METADATA}")
        server.answers["/a"] = saying(b"", 302, Location="http://metadata.example/")

        with pytest.raises(UnsafeError, match=f"{METADATA} is a link-local"):
            get(session, f"{server.url}/a")

    @pytest.mark.parametrize("location", ["http://[::1/", "http://host:99999/", "ftp://host/", "data:,x"])
    def test_a_redirect_to_no_address_is_refused(self, server: OddServer, session: Session, location: str) -> None:
        server.answers["/a"] = saying(b"", 302, Location=location)

        with pytest.raises((ValueError, UnsafeError)):
            get(session, f"{server.url}/a")

    def test_the_allowed_address_of_a_name_is_asked(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"ok")
        port = urlsplit(server.url).port
        resolving(session, f"node.example:{port}:{METADATA},127.0.0.1")

        assert get(session, f"http://node.example:{port}/a").content == b"ok"
        assert server.asked[0].headers["Host"] == f"node.example:{port}"

    @pytest.mark.parametrize(
        "host",
        [
            METADATA,
            "[fe80::1]",
            "[fe80::1%25eth0]",
            f"[::ffff:{METADATA}]",
            "[::ffff:a9fe:a9fe]",
            "224.0.0.1",
            "[ff02::1]",
        ],
    )
    def test_link_local_and_multicast_are_refused_before_anything_is_asked(self, host: str) -> None:
        with pytest.raises(UnsafeError, match="link-local or multicast"):
            check_address(f"http://{host}/")

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "[::1]", "[fd00::1]", "localhost", "node-1"]
    )
    def test_private_networks_are_where_data_spaces_live(self, host: str) -> None:
        check_address(f"http://{host}:3030/catalogue")

    @pytest.mark.parametrize(
        ("iri", "uri"),
        [
            ("http://exämple.org:80/ä", "http://xn--exmple-cua.org:80/%C3%A4"),
            ("http://[::1]:80/a[b]?c=%41&d=+#e", "http://[::1]:80/a[b]?c=%41&d=+#e"),
            ('http://host/\\^`<>"', "http://host/%5C%5E%60%3C%3E%22"),
        ],
    )
    def test_uris(self, iri: str, uri: str) -> None:
        assert to_uri(iri) == uri

    def test_a_redirect_in_any_bytes_is_followed(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = raw(b"HTTP/1.1 302 Found\r\nLocation: /\xe9 \xc3\xa9?\xff\r\nContent-Length: 0\r\n\r\n")
        server.answers["/%E9%20%C3%A9"] = saying(b"there")

        answer = get(session, f"{server.url}/a")

        assert (answer.content, answer.url) == (b"there", f"{server.url}/%E9%20%C3%A9?%FF")


@pytest.mark.parametrize(
    "more", [{"params": {"a": "b"}}, {"json": {"a": "b"}}, {"data": {"a": "b"}}, {"data": "text"}, {"auth": ("a", "b")}]
)
def test_other_parts_of_a_request_are_no_silent_loss(session: Session, more: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="nothing else"):
        session.post("http://127.0.0.1/", timeout=60, **more)


class TestNothingIsKept:
    def test_no_cookie(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 302, Location="/b", Set_Cookie="a=1; Path=/")
        server.answers["/b"] = saying(b"", 200, Set_Cookie="b=1; Path=/")

        get(session, f"{server.url}/a")
        get(session, f"{server.url}/b")

        assert not any("Cookie" in asked.headers for asked in server.asked)
        assert not session.cookies

    def test_no_password_of_a_netrc(
        self, server: OddServer, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server.answers["/a"] = saying(b"", 302, Location="/b")
        server.answers["/b"] = saying()

        get(session, f"{server.url}/a")

        assert len(server.asked) == 2
        assert not any("Authorization" in asked.headers for asked in server.asked)

    def test_the_password_of_an_address_goes_to_its_server_only(self, server: OddServer, session: Session) -> None:
        with odd_server() as other:
            server.answers["/a"] = saying(b"", 302, Location=f"{other.url}/b")
            other.answers["/b"] = saying()

            get(session, f"{server.url}/a".replace("//", "//me:secr%65t@"))

            assert server.asked[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"
            assert "Authorization" not in other.asked[0].headers

    def test_no_password_of_a_redirect(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 302, Location=f"{server.url}/b".replace("//", "//me:pw-of-me@"))
        server.answers["/b"] = saying()

        found = get(session, f"{server.url}/a")

        assert "pw-of-me" not in found.url
        assert "Authorization" not in server.asked[1].headers

    @pytest.mark.parametrize("name", ["X-API-Key", "Authorization"])
    def test_the_header_of_a_server_goes_to_no_other(self, server: OddServer, name: str) -> None:
        with odd_server() as other:
            credentials = {server.url: {name: "key"}, other.url: {}}
            access = Access(
                headers=lambda url: next(more for base, more in credentials.items() if url.startswith(base))
            )
            server.answers["/a"] = saying(b"", 302, Location=f"{other.url}/b")
            other.answers["/b"] = saying(b"", 302, Location=f"{server.url}/c")
            server.answers["/c"] = saying()
            with Session(access=access) as session:
                get(session, f"{server.url}/a")

            assert [asked.headers.get(name) for asked in server.asked] == ["key", "key"]
            assert name not in other.asked[0].headers

    def test_no_error_shows_the_password_of_an_address(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"x" * (LIMIT + 1))
        for url in (
            f"{server.url}/a",
            "http://[::1",
            "ftp://host/",
            f"http://{METADATA}/",
            "http://x" + "ä" * 70 + "/",
        ):
            with pytest.raises(UnsafeError) as refused:
                get(session, url.replace("//", "//me:pw-of-me@"))
            assert "pw-of-me" not in str(refused.value)

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
    def test_no_proxy_of_the_environment(
        self, server: OddServer, session: Session, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
        server.answers["/a"] = saying(b"", 302, Location="/b")
        server.answers["/b"] = saying(b"ok")

        assert get(session, f"{server.url}/a").content == b"ok"


class TestSize:
    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
    def test_a_compressed_body_is_decompressed(self, server: OddServer, session: Session, coding: str) -> None:
        pack = zlib.compress if coding == "deflate" else gzip.compress
        server.answers["/a"] = saying(pack(b"content" * 9000), Content_Encoding=coding)

        assert [get(session, f"{server.url}/a").content for _ in range(2)] == [b"content" * 9000] * 2
        assert len({asked.connection for asked in server.asked}) == 1
        assert server.asked[0].headers["Accept-Encoding"] == "gzip, deflate"

    def test_deflate_may_lack_its_header(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(zlib.compress(b"content" * 99)[2:-4], Content_Encoding="deflate")

        assert get(session, f"{server.url}/a").content == b"content" * 99

    def test_a_compressed_answer_may_be_empty(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 304, Content_Encoding="gzip")

        assert get(session, f"{server.url}/a").content == b""

    @pytest.mark.parametrize(
        ("body", "coding"),
        [
            (b"no gzip", "gzip"),
            (gzip.compress(b"content") + b"more", "gzip"),
            (b"content", "br"),
        ],
        ids=["no gzip", "more after gzip", "unknown"],
    )
    def test_what_cannot_be_decompressed_is_no_answer(
        self, server: OddServer, session: Session, body: bytes, coding: str
    ) -> None:
        server.answers["/a"] = saying(body, Content_Encoding=coding)

        with pytest.raises(requests.ConnectionError):
            get(session, f"{server.url}/a")

    @pytest.mark.parametrize(
        ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=["gzip", "deflate"]
    )
    def test_no_more_of_a_bomb_is_kept_than_allowed(
        self, server: OddServer, session: Session, coding: str, pack: Callable[[bytes], bytes]
    ) -> None:
        server.answers["/a"] = saying(pack(bytes(50_000_000)), Content_Encoding=coding)
        tracemalloc.start()

        with pytest.raises(UnsafeError, match=f"more than the {LIMIT} bytes"):
            get(session, f"{server.url}/a", 30)

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 5_000_000

    def test_the_body_of_a_redirect_is_bounded(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = raw(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", for_ever=b" " * 65536)

        with pytest.raises(UnsafeError, match=f"more than the {LIMIT} bytes"):
            get(session, f"{server.url}/a")

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"HTTP/1.1 200 OK\r\nX-Name: " + b"x" * 1_000_000 + b"\r\n\r\n", id="a header of 1 MB"),
            pytest.param(b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n", id="a status line of 1 MB"),
            pytest.param(OK + b"X-Name: x\r\n" * 50_000 + b"\r\n", id="50000 headers"),
            pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + OK + b"\r\n", id="20000 interim answers"),
            pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 1_000_000, id="size of a chunk of 1 MB"),
        ],
    )
    def test_heads_are_bounded(self, server: OddServer, session: Session, head: bytes) -> None:
        server.answers["/a"] = raw(head)
        tracemalloc.start()

        with pytest.raises(requests.ConnectionError):
            get(session, f"{server.url}/a")

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 6_000_000

    def test_a_post_follows_no_redirect(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 307, Location="/b")

        assert session.post(f"{server.url}/a", data=b"x", timeout=60).status_code == 307
        assert len(server.asked) == 1


@pytest.mark.parametrize("headers", [{"X-Name": "x\r\nX-Injected: x"}, {"X\nInjected: x": "x"}])
def test_a_header_cannot_end_its_line(server: OddServer, session: Session, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="end of line"):
        get(session, f"{server.url}/a", 5, **headers)
    assert not server.asked


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
