"""Requests to strangers: bounded in size, time and redirects, and never to where no stranger may lead."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pycurl
import pytest

from catena_core.text import conceal
from federation.transport import TransportAdapter
from tests.helpers.odd_server import Handler, OddServer, closed_port, saying
from topology.clients.http import Access, NoAnswerInTimeError, Response, UnsafeError, WebClient, WebError

LIMIT = 100_000
METADATA = "169.254.169.254"


@pytest.fixture
def web() -> WebClient:
    return WebClient(timeout=60, max_bytes=LIMIT)


def get(web: WebClient, url: str, **headers: str) -> Response:
    return web.request("GET", url, headers=headers)


class TestAnswers:
    @pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 500, 503])
    def test_every_status_is_an_answer(self, server: OddServer, web: WebClient, status: int) -> None:
        server.answers["/a"] = saying(b"" if status in (204, 304) else b"body", status)

        assert get(web, f"{server.url}/a").status == status

    def test_a_delete_that_finds_nothing_is_no_error(self, server: OddServer, web: WebClient) -> None:
        assert web.request("DELETE", f"{server.url}/nothing").status == 404

    def test_what_is_sent_arrives(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying()

        web.request("PUT", f"{server.url}/a?graph=x", headers={"Content-Type": "text/plain"}, body=b"\x00body")

        (asked,) = server.asked
        assert (asked.method, asked.path, asked.body) == ("PUT", "/a?graph=x", b"\x00body")
        assert asked.headers["Content-Type"] == "text/plain"
        assert asked.headers["User-Agent"].startswith("catena/")

    def test_nothing_of_one_request_is_in_the_next(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"answer", X_One="1")
        server.answers["/b"] = saying()
        web.request("POST", f"{server.url}/a", headers={"X-Mine": "1"}, body=b"content")

        answer = get(web, f"{server.url}/b")

        assert server.asked[1].body == b""
        assert "X-Mine" not in server.asked[1].headers
        assert "x-one" not in answer.headers
        assert answer.body == b""

    def test_names_of_headers_are_in_small_letters(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"", 200, ETag='"x"', CONTENT_TYPE="text/plain")

        headers = get(web, f"{server.url}/a").headers

        assert (headers["etag"], headers["content-type"]) == ('"x"', "text/plain")

    def test_an_entity_tag_of_any_bytes_can_be_sent_back(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"", 200, ETag='"é\x80"')
        etag = get(web, f"{server.url}/a").headers["etag"]

        get(web, f"{server.url}/a", **{"If-None-Match": etag})

        assert server.asked[1].headers["If-None-Match"] == '"é\x80"'

    def test_headers_of_an_interim_answer_are_not_the_answer_s(self, server: OddServer, web: WebClient) -> None:
        def answer(request: Handler) -> None:
            request.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
            request.say(b"ok")

        server.answers["/a"] = answer

        assert "link" not in get(web, f"{server.url}/a").headers

    def test_a_list_may_take_several_lines(self, server: OddServer, web: WebClient) -> None:
        def answer(request: Handler) -> None:
            lines = b"Link: <a>\r\nlink: <b>\r\nCache-Control: no-store\r\nCache-Control: max-age=5\r\n"
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n")

        server.answers["/a"] = answer
        headers = get(web, f"{server.url}/a").headers

        assert (headers["link"], headers["cache-control"]) == ("<a>, <b>", "no-store, max-age=5")

    def test_codings_in_several_lines_are_all_counted(self, server: OddServer, web: WebClient) -> None:
        """The body would still be compressed, and be taken for nonsense of its author's."""

        def answer(request: Handler) -> None:
            body = gzip.compress(gzip.compress(b"{}"))
            lines = b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), lines, body))

        server.answers["/a"] = answer

        with pytest.raises(WebError, match="'gzip, gzip', which is not read"):
            get(web, f"{server.url}/a")

    @pytest.mark.parametrize(
        "cut", [b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"nonsense\r\n\r\n"]
    )
    def test_an_answer_that_breaks_off_may_be_tried_again(self, server: OddServer, web: WebClient, cut: bytes) -> None:
        def answer(request: Handler) -> None:
            request.wfile.write(cut)
            request.close_connection = True

        server.answers["/a"] = answer

        with pytest.raises(WebError):
            get(web, f"{server.url}/a")

    def test_nobody_there(self, web: WebClient) -> None:
        with pytest.raises(WebError, match="does not answer"):
            get(web, f"http://127.0.0.1:{closed_port()}/")

    def test_an_unknown_name(self, web: WebClient) -> None:
        with pytest.raises(WebError, match="does not answer"):
            get(web, "http://nobody.invalid/")


def test_excerpt_of_a_server_that_repeats_what_it_was_sent_shows_no_credential(server: OddServer) -> None:
    secrets = {"Authorization": "Bearer pw-of-the-bearer"}
    conceal("pw-of-the-bearer")
    web = WebClient(5, access=Access(headers=lambda _url: secrets))
    server.answers["/a"] = lambda request: request.say(f"\x1b[31m{request.headers} {'x' * 9000}".encode(), 500)

    said = get(web, f"{server.url}/a").excerpt()

    assert "***" in said and "pw-of" not in said
    assert said.isprintable() and len(said) <= 300


class TestConnections:
    def test_one_is_used_again(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"ok")
        for _ in range(5):
            get(web, f"{server.url}/a")
            web.request("PUT", f"{server.url}/a", body=b"x")
            web.request("DELETE", f"{server.url}/a")

        assert len({asked.connection for asked in server.asked}) == 1

    def test_one_that_was_closed_meanwhile_is_made_anew(self, server: OddServer, web: WebClient) -> None:
        def answer(request: Handler) -> None:
            request.say(b"ok")
            request.close_connection = True  # without having said so

        server.answers["/a"] = answer

        assert [get(web, f"{server.url}/a").body for _ in range(3)] == [b"ok"] * 3

    def test_threads_do_not_mix_up_answers(self, server: OddServer, web: WebClient) -> None:
        for number in range(40):
            server.answers[f"/{number}"] = saying(str(number).encode())

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda number: get(web, f"{server.url}/{number}").body, range(40)))

        assert answers == [str(number).encode() for number in range(40)]


class TestSize:
    def test_a_body_as_large_as_allowed(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"x" * LIMIT)

        assert len(get(web, f"{server.url}/a").body) == LIMIT

    def test_a_body_that_says_it_is_too_large(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"x" * (LIMIT + 1))

        with pytest.raises(UnsafeError, match=f"more than the {LIMIT} bytes"):
            get(web, f"{server.url}/a")

    def test_a_body_without_an_end(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = server.endless

        with pytest.raises(UnsafeError, match=f"more than the {LIMIT} bytes"):
            get(web, f"{server.url}/a")

    def test_a_compressed_body_is_unpacked(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(gzip.compress(b"content"), 200, Content_Encoding="gzip")

        assert get(web, f"{server.url}/a").body == b"content"

    @pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
    def test_a_small_body_that_unpacks_to_a_large_one(
        self, server: OddServer, web: WebClient, encoding: str, pack: object
    ) -> None:
        assert callable(pack)
        bomb = pack(b"\0" * 50_000_000)
        assert len(bomb) < LIMIT
        server.answers["/a"] = saying(bomb, 200, Content_Encoding=encoding)
        tracemalloc.start()

        with pytest.raises(UnsafeError, match="more than the"):
            get(web, f"{server.url}/a")

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 5_000_000

    def test_headers_without_an_end(self, server: OddServer, web: WebClient) -> None:
        def answer(request: Handler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(100_000):
                request.wfile.write(f"X-{number}: {'x' * 100}\r\n".encode())

        server.answers["/a"] = answer

        with pytest.raises((WebError, UnsafeError)):
            get(web, f"{server.url}/a")


class TestTime:
    @pytest.mark.parametrize("fault", ["hang", "trickle"])
    def test_a_server_that_hangs_or_trickles(self, server: OddServer, fault: str) -> None:
        server.answers["/a"] = getattr(server, fault)

        with pytest.raises(WebError, match=r"does not answer within 0\.3 s"):
            get(WebClient(timeout=0.3), f"{server.url}/a")

    def test_redirects_share_the_time_of_one_request(self, server: OddServer) -> None:
        def slowly(request: Handler) -> None:
            time.sleep(0.2)
            request.say(b"", 302, Location="/a")

        server.answers["/a"] = slowly

        with pytest.raises(WebError, match="does not answer within"):
            get(WebClient(timeout=0.5), f"{server.url}/a")

    def test_an_address_that_takes_no_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            place = full.getsockname()
            filling = [socket.socket() for _ in range(4)]
            for one in filling:
                one.setblocking(False)
                one.connect_ex(place)
            try:
                with pytest.raises(WebError, match="cannot be reached"):
                    get(WebClient(timeout=0.3), f"http://127.0.0.1:{place[1]}/")
            finally:
                for one in filling:
                    one.close()

    def test_a_server_without_tls_is_not_said_to_be_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("federation.transport._CONNECT_TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoAnswerInTimeError) as raised:
            get(WebClient(timeout=60), f"https://127.0.0.1:{silent.getsockname()[1]}/")

        assert "cannot be reached: Connection timed out" in str(raised.value)
        assert "does it speak TLS?" in str(raised.value)

    def test_a_client_is_well_after_a_timeout(self, server: OddServer) -> None:
        server.answers["/hang"] = server.hang
        server.answers["/a"] = saying(b"ok")
        web = WebClient(timeout=0.3)
        with pytest.raises(WebError):
            get(web, f"{server.url}/hang")

        assert get(web, f"{server.url}/a").body == b"ok"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_get_follows_and_says_where_it_came_to(self, server: OddServer, web: WebClient, status: int) -> None:
        server.answers["/a"] = saying(b"moved", status, Location="/b/c?d=e")
        server.answers["/b/c"] = saying(b"there")

        answer = get(web, f"{server.url}/a")

        assert (answer.status, answer.body, answer.url) == (200, b"there", f"{server.url}/b/c?d=e")

    def test_headers_are_those_of_the_final_answer_only(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"moved", 302, Location="/b", ETag='"of the redirect"')
        server.answers["/b"] = saying(b"there")

        headers = get(web, f"{server.url}/a").headers

        assert "etag" not in headers
        assert "location" not in headers

    @pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
    def test_nothing_else_follows(self, server: OddServer, web: WebClient, method: str) -> None:
        server.answers["/a"] = saying(b"", 307, Location="/b")

        assert web.request(method, f"{server.url}/a", body=b"x").status == 307
        assert len(server.asked) == 1

    def test_a_few_are_followed(self, server: OddServer, web: WebClient) -> None:
        for number in range(5):
            server.answers[f"/{number}"] = saying(b"", 302, Location=f"/{number + 1}")
        server.answers["/5"] = saying(b"there")

        assert get(web, f"{server.url}/0").body == b"there"

    def test_a_circle_ends(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"", 302, Location="/a")

        with pytest.raises(UnsafeError, match="redirects"):
            get(web, f"{server.url}/a")
        assert len(server.asked) == 6

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "dict://127.0.0.1/"]
    )
    def test_never_to_another_scheme(self, server: OddServer, web: WebClient, location: str) -> None:
        server.answers["/a"] = saying(b"", 302, Location=location)

        with pytest.raises(UnsafeError):
            get(web, f"{server.url}/a")

    @pytest.mark.parametrize(
        "host", [METADATA, "2852039166", "0xa9fea9fe", "169.254.43518", f"[::ffff:{METADATA}]", "[fe80::1]"]
    )
    def test_never_to_a_link_local_address(self, server: OddServer, web: WebClient, host: str) -> None:
        server.answers["/a"] = saying(b"", 302, Location=f"http://{host}/latest/meta-data")

        with pytest.raises(UnsafeError, match="link-local"):
            get(web, f"{server.url}/a")

    def test_a_redirect_that_leads_nowhere_is_an_answer(self, server: OddServer, web: WebClient) -> None:
        server.answers["/a"] = saying(b"", 302)

        assert get(web, f"{server.url}/a").status == 302


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "",
            "host/path",
            "//host/path",
            "ftp://host/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://",
            "http:///path",
            "http://host:port/",
            "http://host:99999/",
            "http://[::1/",
            "http://host/a b",
            "http://host/\r\nX-Injected: 1",
            "http://host/\x00",
            "http://host/\u202e",
            "http://xn--\u00e4" + "a" * 70 + "/",
        ],
    )
    def test_what_is_no_address_is_refused(self, web: WebClient, address: str) -> None:
        with pytest.raises(UnsafeError):
            web.request("GET", address)

    @pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
    def test_however_the_number_is_written(self, web: WebClient, host: str) -> None:
        with pytest.raises(UnsafeError, match="link-local"):
            get(web, f"http://{host}/")

    def test_a_name_that_stands_for_one_is_refused(self, web: WebClient) -> None:
        transport = cast(TransportAdapter, web._session.get_adapter("http://any/"))
        handle = transport._take(("http", "metadata.example"))
        handle.setopt(pycurl.RESOLVE, [f"metadata.example:80:{METADATA}"])
        transport._keep(("http", "metadata.example"), handle)

        with pytest.raises(UnsafeError, match=f"{METADATA} is a link-local"):
            get(web, "http://metadata.example/")

    def test_an_iri_is_asked_for_as_a_uri(self, server: OddServer, web: WebClient) -> None:
        server.answers["/%C3%A9%7C%7B%7D"] = saying(b"ok")

        answer = get(web, f"{server.url}/é|{{}}?q=%20ü")

        assert answer.body == b"ok"
        assert server.asked[0].path == "/%C3%A9%7C%7B%7D?q=%20%C3%BC"
        assert answer.url == f"{server.url}/%C3%A9%7C%7B%7D?q=%20%C3%BC"

    def test_a_user_name_does_not_hide_the_host(self, web: WebClient) -> None:
        with pytest.raises(UnsafeError, match="link-local"):
            get(web, f"http://127.0.0.1@{METADATA}/")
        with pytest.raises((UnsafeError, WebError)):
            get(web, f"http://{METADATA}\\@127.0.0.1:{closed_port()}/")

    def test_proxies_of_the_environment_are_not_used(
        self, server: OddServer, web: WebClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        server.answers["/a"] = saying(b"ok")

        assert get(web, f"{server.url}/a").body == b"ok"
