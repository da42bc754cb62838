"""No answer takes longer or more memory than its request allows."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import requests
from requests.exceptions import Timeout

from federation.transport import Deadline, Session, UnsafeError
from tests.helpers.odd_server import Handler, OddServer, saying
from tests.helpers.transport import LIMIT, OK, get, raw


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

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    @pytest.mark.parametrize("missing", [1, 3, 8, 60])
    def test_a_compressed_body_that_breaks_off_is_no_answer(
        self, server: OddServer, session: Session, coding: str, missing: int
    ) -> None:
        packed = (zlib.compress if coding == "deflate" else gzip.compress)(bytes(range(256)) * 9)
        head = OK + b"Content-Encoding: %b\r\n" % coding.encode()
        rest = packed[:-missing]
        for answer in (
            head + b"\r\n" + rest,
            head + b"Content-Length: %d\r\n\r\n" % len(rest) + rest,
            head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest),
        ):
            server.answers["/a"] = raw(answer)

            with pytest.raises(requests.ConnectionError, match="breaks off"):
                get(session, f"{server.url}/a")

    def test_a_compressed_body_may_come_in_several_members(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(gzip.compress(b"con") + gzip.compress(b"tent"), Content_Encoding="gzip")

        assert get(session, f"{server.url}/a").content == b"content"

    @pytest.mark.parametrize(
        "rest",
        [
            pytest.param(b"Content-Length: 9\r\n\r\ncontent", id="length"),
            pytest.param(b"Transfer-Encoding: chunked\r\n\r\n7\r\ncontent\r\n", id="chunks"),
        ],
    )
    def test_a_body_that_breaks_off_is_no_answer(self, server: OddServer, session: Session, rest: bytes) -> None:
        server.answers["/a"] = raw(OK + rest)

        with pytest.raises(requests.ConnectionError):
            get(session, f"{server.url}/a")

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
            get(session, f"{server.url}/a", 120)

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 6_000_000

    def test_a_post_follows_no_redirect(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 307, Location="/b")

        assert session.post(f"{server.url}/a", data=b"x", timeout=60).status_code == 307
        assert len(server.asked) == 1
