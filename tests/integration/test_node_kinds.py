"""Real servers as nodes: their endpoints are found, and graphs come and go one by one and together."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyoxigraph as ox
import pytest

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.helpers.records import described
from tests.helpers.waiting import eventually
from tests.servers import Fuseki, rdf4j_server
from tests.servers.process import Process, free_port
from topology.clients.http import WebClient, WebError
from topology.clients.node import GraphWrite, NodeClient
from topology.clients.node_discovery import discover
from topology.gateway.api.app import create_app
from topology.gateway.fixed.catalogue import FixedCatalogue
from topology.gateway.replicas.inventory import GraphInventory
from topology.membership import CatalogueList
from topology.records import Endpoints, Node, Ring
from topology.ring import RingView
from topology.same_store import SameStores

WEB = WebClient(60)
_TURTLE = ox.RdfFormat.TURTLE
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


@pytest.fixture(scope="module")
def rdf4j() -> Iterator[str]:
    """Run an RDF4J server; the address of its repository."""
    with rdf4j_server() as server:
        yield server.url


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
    check_second_address(client, url.replace("127.0.0.1", "localhost"))


def check_second_address(client: NodeClient, url: str) -> None:
    found = discover(url, WEB)
    nodes = {"a": client, "b": NodeClient(url, WEB, found.protocol, found.endpoints)}
    stores = SameStores(interval=30)

    def has_compared() -> bool:
        stores.follow(nodes, placed=(), now=0)
        return all(stores.has_compared(node, nodes[node]) for node in nodes)

    try:
        eventually(has_compared)
        assert (stores.same_as("a"), stores.same_as("b")) == ("", "a")
        assert client.graphs() == set()
    finally:
        stores.close()


def test_an_oxigraph_server_is_a_node(oxigraph: str) -> None:
    check(oxigraph, Endpoints(f"{oxigraph}/sparql", f"{oxigraph}/store", f"{oxigraph}/update"))


def test_a_fuseki_dataset_is_a_node(fuseki: Callable[[], Fuseki]) -> None:
    url = fuseki().url
    check(url, Endpoints(f"{url}/sparql", f"{url}/data", f"{url}/update"))


def test_an_rdf4j_repository_is_a_node(rdf4j: str) -> None:
    check(rdf4j, Endpoints(rdf4j, f"{rdf4j}/rdf-graphs/service", f"{rdf4j}/statements"))


def test_graphs_of_an_rdf4j_repository_are_listed_to_the_gateway(rdf4j: str) -> None:
    """RDF4J answers a pattern of any graph with one row without a name."""
    found = discover(rdf4j, WEB)
    inventory = GraphInventory(60, LinkLogger("test"), shortest_pause=0.05)
    try:
        inventory.follow(RingView(Ring(1, (Node("a", rdf4j, since=1, endpoints=found.endpoints),), 1, 0)))
        eventually(lambda: inventory.graphs_by_node()["a"].graphs == frozenset())
        client = NodeClient(rdf4j, WEB, found.protocol, found.endpoints)
        client.put(G, described(G).triples)
        eventually(lambda: inventory.graphs_by_node()["a"].graphs == {G})
        client.delete(G)
        eventually(lambda: inventory.graphs_by_node()["a"].graphs == frozenset())
    finally:
        inventory.close()


def test_query_over_an_rdf4j_repository_finds_each_kind_of_term(rdf4j: str, tmp_path: Path) -> None:
    values = ['"a\\tb\\n\\"c\\" \\\\ ä \\U0001F600"', '"de"@de', "1.5", "true", "<https://x.example/ä>", '""']
    found = discover(rdf4j, WEB)
    client = NodeClient(rdf4j, WEB, found.protocol, found.endpoints)
    (tmp_path / "nodes.json").write_text(json.dumps({"a": {"catalogue_url": rdf4j}}))
    engine = Engine(timeout=120, source_timeout=60, workers=1)
    fixed = FixedCatalogue(CatalogueList(str(tmp_path / "nodes.json")), 0.5, 60, LinkLogger("test"))
    app = create_app(engine, fixed.selector, lambda: fixed.ring, refresh=fixed.refresh)
    query = "SELECT ?v (COUNT(*) AS ?n) { GRAPH ?g { ?s <urn:p> ?v } } GROUP BY ?v"
    parsed = {str(quad.object) for value in values for quad in ox.parse(f"<urn:s> <urn:p> {value} .", _TURTLE)}

    def answer() -> set[str]:
        headers = {"Cache-Control": "no-cache", "Accept": "application/sparql-results+json"}
        response = app.test_client().get("/sparql", query_string={"query": query}, headers=headers)
        results = ox.parse_query_results(response.data, ox.QueryResultsFormat.JSON)
        assert isinstance(results, ox.QuerySolutions)
        return {str(row["v"]) for row in results}

    try:
        fixed.start()
        client.put(G, "".join(f"<urn:s> <urn:p> {value} .\n" for value in sorted(parsed)))
        client.put(OTHER, "".join(f"<urn:s> <urn:p> {value} .\n" for value in sorted(parsed)))
        eventually(lambda: answer() == parsed)
    finally:
        client.write([GraphWrite(G, None), GraphWrite(OTHER, None)])
        fixed.close()
        engine.close()
