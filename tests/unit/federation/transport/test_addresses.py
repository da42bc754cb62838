"""Addresses inside are asked only where they may be; nothing of one server goes to another."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from federation.networks import Networks
from federation.transport import Access, Session, UnsafeError, check_address, to_uri
from tests.helpers.odd_server import OddServer, closed_port, odd_server, saying
from tests.helpers.transport import LIMIT, METADATA, get, raw, resolving


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

    def test_a_redirect_to_a_file_says_what_it_is(self, server: OddServer, session: Session) -> None:
        server.answers["/a"] = saying(b"", 302, Location="file:///etc/passwd")

        with pytest.raises(UnsafeError, match="file:///etc/passwd is not an http or https address"):
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
            ("https://faß.example:8080/", "https://xn--fa-hia.example:8080/"),
            ("http://Bücher.example", "http://xn--bcher-kva.example"),
            ("http://☃.example/", "http://xn--n3h.example/"),
            ("http://a_ü.example/", "http://xn--a_-yka.example/"),
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

    def test_a_redirect_to_a_name_in_any_script_asks_for_the_name_that_resolvers_know(
        self, server: OddServer, session: Session
    ) -> None:
        moved = "HTTP/1.1 302 Found\r\nLocation: http://bücher.invalid/é\r\nContent-Length: 0\r\n\r\n"
        server.answers["/a"] = raw(moved.encode())

        with pytest.raises(requests.exceptions.ConnectionError, match=r"xn--bcher-kva\.invalid"):
            get(session, f"{server.url}/a")


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


@pytest.mark.parametrize("headers", [{"X-Name": "x\r\nX-Injected: x"}, {"X\nInjected: x": "x"}])
def test_a_header_cannot_end_its_line(server: OddServer, session: Session, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="end of line"):
        get(session, f"{server.url}/a", 5, **headers)
    assert not server.asked
