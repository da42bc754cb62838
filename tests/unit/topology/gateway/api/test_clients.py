"""Programs of others that ask the gateway, with what they send and what they read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
import rdflib
import requests
from rdflib.plugins.stores.sparqlstore import SPARQLStore
from SPARQLWrapper import BASIC, CSV, JSON, POST, TURTLE, XML, SPARQLWrapper

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox, running_node
from topology.gateway.api.server import make_server, port_of
from topology.gateway.guarding.clients import Client
from topology.gateway.guarding.guard import Guard

NOTE = 'water & "air" + earth #1 100% \\o/'
SELECT = "SELECT ?s ?note { ?s <https://p.example/note> ?note }"
KEY = "a key of the client"


class _Key:
    def known_by(self, secret: str) -> Client | None:
        return Client("client", False) if secret == KEY else None


@pytest.fixture(scope="module")
def node() -> Iterator[Sandbox]:
    with running_node() as node:
        yield node


@pytest.fixture(scope="module")
def url(engine: Engine, node: Sandbox) -> Iterator[str]:
    """Serve a SPARQL endpoint that needs a key."""
    serving = Serving(engine)
    serving.has("a", node.url)
    serving.place("a", described(G, NOTE))
    serving.list("0xa", described(G, NOTE))
    Guard(LinkLogger("Gateway"), [_Key()], open_reading=False).protect(serving.app)
    server = make_server(serving.app, "127.0.0.1", 0)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{port_of(server)}/sparql"
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
    server.close()


@pytest.mark.parametrize("method", ["GET", POST])
def test_sparql_wrapper_gets_each_kind_of_result(url: str, method: str) -> None:
    client = SPARQLWrapper(url)
    client.setMethod(method)
    client.setHTTPAuth(BASIC)
    client.setCredentials("anyone", KEY)
    client.setQuery(SELECT)
    for kind in (JSON, XML, CSV):
        client.setReturnFormat(kind)
        found = client.query().convert()
        text = found.decode() if isinstance(found, bytes) else found.toxml() if kind == XML else json.dumps(found)
        assert "water &" in text.replace("&amp;", "&")
    client.setQuery("CONSTRUCT WHERE { ?s ?p ?o }")
    client.setReturnFormat(TURTLE)
    graph = client.query().convert()
    assert isinstance(graph, bytes)
    assert len(rdflib.Graph().parse(data=graph, format="turtle")) == 2


def test_rdflib_reads_the_gateway_as_a_store(url: str) -> None:
    graph = rdflib.Graph(SPARQLStore(url, auth=("anyone", KEY)))

    assert len(graph) == 2
    assert graph.value(rdflib.URIRef(G), rdflib.URIRef("https://p.example/note")) == rdflib.Literal(NOTE)
    assert bool(graph.query("ASK { ?s ?p ?o }"))
    assert [str(row.note) for row in graph.query(SELECT)] == [NOTE]


@pytest.mark.parametrize("word", ['"air"', "water &", "+ earth", "#1", "100%", "\\o/"])
def test_web_page_that_searches_for_a_word_finds_it(url: str, word: str) -> None:
    query = f"{SELECT[:-1]} FILTER(CONTAINS(?note, {rdflib.Literal(word).n3()})) }}"
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}

    asked = [
        requests.post(url.replace("/sparql", "/catalogue/sparql"), data={"query": query}, headers=headers, timeout=60),
        requests.get(url, params={"query": query}, headers=headers, timeout=60),
        requests.post(url, query.encode(), headers={**headers, "Content-Type": "application/sparql-query"}, timeout=60),
    ]

    for answer in asked:
        (row,) = answer.json()["results"]["bindings"]
        assert row["note"]["value"] == NOTE
    found = requests.get(url.replace("/sparql", "/offerings"), params={"q": word}, headers=headers, timeout=60)
    assert found.json()["total"] == 1
