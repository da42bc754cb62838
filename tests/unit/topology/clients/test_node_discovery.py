"""Nodes of several kinds: their endpoints are found by asking, or are given."""

from __future__ import annotations

import pytest

from tests.helpers.node_kinds import KINDS, serving
from tests.helpers.odd_server import OddServer, saying, saying_json
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.clients.http import WebClient, WebError
from topology.clients.node import GraphWrite, NodeClient
from topology.clients.node_discovery import UndetectedError, discover
from topology.clients.node_status import FailedError
from topology.records import Endpoints

WEB = WebClient(5)
G = "https://p.example/1"


@pytest.mark.parametrize("name", KINDS)
def test_discover_finds_the_endpoints_of_each_kind_and_leaves_no_graph(name: str) -> None:
    with serving(name) as served:
        found = discover(served.url, WEB)

        kind, url = served.kind, served.url
        assert found.protocol == "graph-store"
        assert found.endpoints == Endpoints(
            url + kind.sparql, kind.graph_store and url + kind.graph_store, kind.update and url + kind.update
        )
        assert served.graphs() == set()


@pytest.mark.parametrize("name", KINDS)
def test_node_of_each_kind_takes_and_gives_graphs(name: str) -> None:
    with serving(name) as served:
        found = discover(served.url, WEB)
        client = NodeClient(served.url, WEB, found.protocol, found.endpoints)
        first, second = described(G, "first"), described(G, "second")

        client.put(G, first.triples)
        client.put(G, second.triples)
        assert client.digests([G]) == {G: second.digest}
        assert "second" in str(client.get(G))
        assert client.holds([G, "https://p.example/2"]) == {G}
        assert client.graphs() == {G}
        if client.takes_batches:
            client.write([GraphWrite(G, None), GraphWrite("https://p.example/2", first.triples)])
            assert client.graphs() == {"https://p.example/2"}
            client.delete("https://p.example/2")
        client.delete(G)
        client.delete(G)
        assert client.get(G) is None
        assert client.graphs() == set()


def test_discover_of_the_sandbox_finds_the_catalogue_and_its_updates(node: Sandbox) -> None:
    found = discover(node.url, WEB)

    assert (found.protocol, found.endpoints) == (
        "sedimark",
        Endpoints(f"{node.url}/sparql", update=f"{node.url}/update"),
    )


def test_discover_for_reading_alone_asks_for_queries_alone() -> None:
    with serving("oxigraph") as served:
        assert discover(served.url, WEB, protocol=None).endpoints == Endpoints(f"{served.url}/query")
        assert all(asked.method == "GET" for asked in served.server.asked)


def test_discover_of_given_endpoints_checks_them_alone() -> None:
    with serving("oxigraph") as served:
        url = served.url
        served.server.answers |= {
            "/a": served.server.answers["/query"],
            "/b?x=1".partition("?")[0]: served.server.answers["/store"],
        }
        given = Endpoints(f"{url}/a", f"{url}/b?x=1", f"{url}/update")

        assert discover(url, WEB, given).endpoints == given
        assert {asked.path.partition("?")[0] for asked in served.server.asked} == {"/a", "/b", "/update"}


@pytest.mark.parametrize("name", ["sparql", "graph_store", "update"])
def test_discover_of_a_given_endpoint_that_is_none_names_it(name: str) -> None:
    with serving("fuseki") as served, pytest.raises(UndetectedError) as undetected:
        discover(served.url, WEB, Endpoints(**{name: f"{served.url}/nothing"}))

    assert f"{served.url}/nothing" in str(undetected.value)
    assert f'"{name}"' in str(undetected.value)


def test_discover_of_a_server_that_cannot_be_written_to_names_the_paths_that_were_asked(server: OddServer) -> None:
    server.answers["/sparql"] = saying_json({"boolean": True})

    with pytest.raises(UndetectedError) as undetected:
        discover(server.url, WEB)

    for path in ("/data", "/store", "/rdf-graphs/service"):
        assert f"{server.url}{path} (status 404)" in str(undetected.value)
    assert '"graph_store"' in str(undetected.value)
    assert '"update"' in str(undetected.value)


def test_discover_of_a_server_that_lets_no_one_in_names_the_setting_of_credentials(server: OddServer) -> None:
    server.answers["/sparql"] = saying(b"who are you", 401)
    server.answers["/query"] = saying(b"<html>log in", 200, Content_Type="text/html; charset=utf-8")

    with pytest.raises(UndetectedError) as undetected:
        discover(server.url, WEB)

    assert f"{server.url}/query (text/html, status 200)" in str(undetected.value)
    assert "NODE_CREDENTIALS" in str(undetected.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"true", b'{"boolean": "yes"}', b'{"boolean"', b"\xff"])
def test_discover_of_pages_that_are_no_answers_finds_none(server: OddServer, body: bytes) -> None:
    for path in ("", "/", "/sparql", "/query"):
        server.answers[path] = saying(body, Content_Type="text/html")

    with pytest.raises(UndetectedError):
        discover(server.url, WEB)


@pytest.mark.parametrize("path", ["sparql", "graphs", "update", "data"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_discover_of_a_server_in_trouble_leaves_its_protocols_open(server: OddServer, path: str, status: int) -> None:
    server.answers |= {
        "/sparql": saying_json({"boolean": True}),
        "/data": saying(Content_Type="application/n-triples"),
        f"/{path}": saying(b"", status),
    }

    with pytest.raises(FailedError) as failed:
        discover(server.url, WEB)
    assert not isinstance(failed.value, UndetectedError)


def test_discover_of_a_large_default_graph_finds_the_graph_store(server: OddServer) -> None:
    server.answers |= {"/sparql": saying_json({"boolean": True}), "/data": server.endless}

    assert discover(server.url, WebClient(5, 100_000)).endpoints.graph_store == f"{server.url}/data"


def test_discover_of_silence_is_an_error() -> None:
    with pytest.raises(WebError):
        discover("http://127.0.0.1:1", WEB)
