"""The servers that a link may ask, by who named them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.odd_server import OddServer, odd_server, saying
from topology import access, records
from topology.access import LinkAccess, provider_networks
from topology.clients.http import UnsafeError, WebClient
from topology.records import Ring
from topology.settings import load

PASSWORD = "s3cret-of-the-node"


def settings(**given: str) -> Any:
    return load(given, file="/nowhere/.env")


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        server.answers["/a"] = saying(b"ok")
        yield server


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(0, 0, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)


@pytest.mark.parametrize(
    ("booth", "allowed", "refused"),
    [
        ("http://127.0.0.1:8085/api", ["127.0.0.1", "10.0.0.1", "8.8.8.8"], ["100.64.0.1", "fd00::1"]),
        ("http://10.0.0.1:8085/api", ["127.0.0.1", "192.168.0.1"], ["100.64.0.1", "fd00::1"]),
        ("http://[fd00::1]:8085/api", ["fd00::2", "8.8.8.8"], ["127.0.0.1", "10.0.0.1", "100.64.0.1"]),
        ("http://100.64.0.1/api", ["100.64.0.2"], ["127.0.0.1", "fd00::1"]),
        ("http://8.8.8.8/api", ["1.1.1.1"], ["127.0.0.1", "10.0.0.1", "100.64.0.1", "fd00::1", "::1"]),
        ("http://dlt-booth:8085/api", ["10.0.0.1"], ["100.64.0.1"]),
    ],
)
def test_provider_networks_auto_opens_the_kind_of_network_that_the_booth_is_in(
    monkeypatch: pytest.MonkeyPatch, booth: str, allowed: list[str], refused: list[str]
) -> None:
    def fails(*_args: object, **_more: object) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    networks = provider_networks(settings(DLT_BASE_URL=booth))

    assert [networks.refusal(host) for host in allowed] == [None] * len(allowed)
    assert all(networks.refusal(host) for host in refused)


@pytest.mark.parametrize(("address", "opens"), [("10.1.1.1", True), ("8.8.8.8", False)])
def test_provider_networks_auto_resolves_the_name_of_the_booth(
    monkeypatch: pytest.MonkeyPatch, address: str, opens: bool
) -> None:
    resolve(monkeypatch, address)
    networks = provider_networks(settings(DLT_BASE_URL="https://booth.example/api"))

    assert (networks.refusal("10.0.0.1") is None) is opens


@pytest.mark.parametrize("text", ["public", "public,10.2.0.0/16", "public, fd12::/16"])
def test_provider_networks_public_keeps_strangers_away_from_this_machine(server: OddServer, text: str) -> None:
    found = LinkAccess(settings(DLT_BASE_URL=server.url, PROVIDER_NETWORKS=text))

    for url in (
        server.url,
        server.url.replace("127.0.0.1", "localhost"),
        server.url.replace("127.0.0.1", "2130706433"),
    ):
        with pytest.raises(UnsafeError, match="PROVIDER_NETWORKS"):
            WebClient(5, access=found.providers).request("GET", f"{url}/a")
    assert not server.asked
    assert WebClient(5, access=found.ledger).request("GET", f"{server.url}/a").body == b"ok"


def test_provider_networks_hold_for_redirects(server: OddServer) -> None:
    server.answers["/moved"] = saying(b"", 302, Location="http://100.64.0.1/")
    found = LinkAccess(settings(DLT_BASE_URL=server.url))

    with pytest.raises(UnsafeError, match=r"100\.64\.0\.1 is a shared address"):
        WebClient(5, access=found.providers).request("GET", f"{server.url}/moved")


def test_nodes_that_owners_name_stand_where_providers_may(server: OddServer) -> None:
    by_owners = LinkAccess(settings(DLT_BASE_URL=server.url, PROVIDER_NETWORKS="public"))
    global_catalogue = LinkAccess(settings(DLT_BASE_URL=server.url, PROVIDER_NETWORKS="public", CENTRALISED="1"))

    with pytest.raises(UnsafeError, match="PROVIDER_NETWORKS"):
        WebClient(5, access=by_owners.nodes).request("GET", f"{server.url}/a")
    assert WebClient(5, access=global_catalogue.nodes).request("GET", f"{server.url}/a").body == b"ok"


def test_access_password_of_the_list_goes_to_its_node_alone(
    server: OddServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topology.credentials._LOOK_EVERY", 0.0)
    file = tmp_path / "nodes.json"
    file.write_text(json.dumps({"a": {"catalogue_url": server.url.replace("//", f"//catena:{PASSWORD}@")}}))
    found = LinkAccess(settings(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(file)))
    with odd_server() as other:
        server.answers["/moved"] = saying(b"", 302, Location=f"{other.url}/a")
        other.answers["/a"] = saying(b"other")
        web = WebClient(5, access=found.nodes)

        assert web.request("GET", f"{server.url}/a").body == b"ok"
        assert web.request("GET", f"{server.url}/moved").body == b"other"
        assert WebClient(5, access=found.providers).request("GET", f"{other.url}/a").body == b"other"

        assert server.asked[0].headers["Authorization"].startswith("Basic ")
        assert not any("Authorization" in asked.headers for asked in other.asked)

    file.write_text(json.dumps({"a": {"catalogue_url": server.url.replace("//", "//catena:changed-since@")}}))
    web.request("GET", f"{server.url}/a")
    assert server.asked[-1].headers["Authorization"] != server.asked[0].headers["Authorization"]


@pytest.mark.parametrize("name", ["DLT_BASE_URL", "GC_URL"])
def test_access_password_of_a_setting_is_sent_and_not_shown(server: OddServer, name: str) -> None:
    base, _, port = server.url.replace("//", f"//catena:{PASSWORD}@").rpartition(":")
    given = {"DLT_BASE_URL": f"{base}:{port}"} if name == "DLT_BASE_URL" else {"GC_URL": base, "GC_PORT": port}
    read = settings(CENTRALISED="1", **given)
    found = LinkAccess(read)
    at = read.dlt_base_url if name == "DLT_BASE_URL" else read.global_catalogue_url

    WebClient(5, access=found.ledger if name == "DLT_BASE_URL" else found.nodes).request("GET", f"{at}/a")

    assert PASSWORD not in repr(read) and PASSWORD not in at
    assert server.asked[0].headers["Authorization"].startswith("Basic ")


def test_kinds_of_host_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "10.0.0.1")
    kinds = access._KindsOfHost("booth.example")

    assert set(kinds()) == {"private", "loopback"}
    resolve(monkeypatch, "8.8.8.8")
    assert set(kinds()) == {"private", "loopback"}


def test_ring_of_an_earlier_version_shows_no_password() -> None:
    text = '{"epoch": 1, "nodes": [["a"]], "virtual_nodes": 1, "replicas": 1}'.replace(
        '["a"]', '{"id": "a", "url": "http://catena:pw-of-a-node@a/c"}'
    )

    assert records.from_text(text, Ring).nodes[0].url == "http://a/c"
