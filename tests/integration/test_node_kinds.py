"""Real servers as nodes: their endpoints are found, and graphs come and go one by one and together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.records import described
from tests.helpers.waiting import eventually
from tests.servers import Fuseki
from tests.servers.process import Process, free_port
from topology.clients.http import WebClient, WebError
from topology.clients.node import GraphWrite, NodeClient
from topology.clients.node_discovery import discover
from topology.records import Endpoints

WEB = WebClient(60)
G, OTHER = "https://p.example/1", "https://p.example/2"
# Escapes that SPARQL reads before anything else, and characters that stores write in several ways.
ODD = '\\u0022 } ; DROP ALL ; INSERT DATA { "\x01\u2028\n\\'


@pytest.fixture(scope="module")
def oxigraph() -> Iterator[str]:
    """Run an Oxigraph server; its address."""
    port = free_port()
    process = Process([str(Path(sys.executable).with_name("oxigraph")), "serve", "--bind", f"127.0.0.1:{port}"])
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(url))
        yield url
    finally:
        process.kill()
        process.close()


def answers(url: str) -> bool:
    try:
        return NodeClient(url, WEB).is_healthy()
    except WebError:
        return False


def check(url: str, endpoints: Endpoints) -> None:
    found = discover(url, WEB)
    assert (found.protocol, found.endpoints) == ("graph-store", endpoints)
    client = NodeClient(url, WEB, found.protocol, found.endpoints)
    assert client.graphs() == set(), "finding out leaves no graph"

    for note in ("first", ODD):
        client.put(G, described(G, note).triples)
        assert client.digests([G]) == {G: described(G, note).digest}
    client.write([GraphWrite(G, None), GraphWrite(OTHER, described(OTHER).triples)])
    assert client.holds([G, OTHER]) == {OTHER}
    assert client.digests([OTHER]) == {OTHER: described(OTHER).digest}
    client.delete(OTHER)
    client.delete(OTHER)
    assert client.graphs() == set()

    alone = NodeClient(url, WEB, "graph-store", endpoints=Endpoints(endpoints.sparql, update=endpoints.update))
    alone.put(G, described(G, "by update").triples)
    assert alone.digests([G]) == {G: described(G, "by update").digest}
    assert "by update" in str(alone.get(G))
    alone.delete(G)
    assert alone.get(G) is None


def test_an_oxigraph_server_is_a_node(oxigraph: str) -> None:
    check(oxigraph, Endpoints(f"{oxigraph}/sparql", f"{oxigraph}/store", f"{oxigraph}/update"))


def test_a_fuseki_dataset_is_a_node(fuseki: Callable[[], Fuseki]) -> None:
    url = fuseki().url
    check(url, Endpoints(f"{url}/sparql", f"{url}/data", f"{url}/update"))
