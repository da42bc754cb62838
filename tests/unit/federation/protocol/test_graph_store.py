"""The reading side of the Graph Store HTTP Protocol."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pyoxigraph
import pytest
from flask.testing import FlaskClient

from federation.engine import Engine
from federation.protocol.graph_store import graph_store_blueprint
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node, put, running_nodes


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with running_nodes(1) as (node,):
        put(node, "urn:g1", "<urn:s1> <urn:p> 1 .")
        put(node, "http://localhost/g2", "<urn:s2> <http://example.org/p> 2 .")
        yield node


@pytest.fixture(scope="module")
def client(node: Node) -> Iterator[FlaskClient]:
    snapshot = Snapshot((Source("a", node.url),), {"urn:g1": "a", "http://localhost/g2": "a"})
    engine = Engine(workers=1)
    app = flask.Flask(__name__)
    app.register_blueprint(graph_store_blueprint(engine, lambda avoided: Snapshot(()) if avoided else snapshot))
    yield app.test_client()
    engine.close()


def subjects(body: bytes, media_type: str) -> set[str]:
    read_format = pyoxigraph.RdfFormat.from_media_type(media_type)
    assert read_format
    return {str(quad.subject) for quad in pyoxigraph.parse(body, read_format)}


@pytest.mark.parametrize("path", ["/data", "/catalogue/data"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("graph=urn:g1", {"<urn:s1>"}),
        ("graph=/g2", {"<urn:s2>"}),
        ("graph=http%3A%2F%2Flocalhost%2Fg2", {"<urn:s2>"}),
        ("default", {"<urn:s1>", "<urn:s2>"}),
        ("default=", {"<urn:s1>", "<urn:s2>"}),
    ],
)
def test_a_graph_is_read(client: FlaskClient, path: str, query: str, found: set[str]) -> None:
    response = client.get(f"{path}?{query}", headers={"Accept": "application/n-triples"})
    assert response.status_code == 200
    assert response.headers["Catena-Completeness"] == "complete"
    assert subjects(response.data, "application/n-triples") == found
    head = client.head(f"{path}?{query}", headers={"Accept": "application/n-triples"})
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", response.headers["ETag"])


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "application/n-triples",
        "application/ld+json",
        "application/trig",
        "application/n-quads",
        "application/rdf+xml",
    ],
)
def test_it_comes_in_each_format(client: FlaskClient, accept: str) -> None:
    response = client.get("/data?graph=g2", headers={"Accept": accept})
    assert response.mimetype == accept
    assert subjects(response.data, accept) == {"<urn:s2>"}
    assert client.get(f"/data?graph=g2&format={accept}").mimetype == accept


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("graph=urn:nowhere", 404),
        ("", 400),
        ("graph=", 400),
        ("graph=urn:g1&default", 400),
        ("graph=urn:g1&graph=g2", 400),
        ("graph=http://a%3E%7D%20b", 400),
        ("default&timeout=x", 400),
    ],
)
def test_a_request_for_no_graph_is_told_why(client: FlaskClient, query: str, status: int) -> None:
    response = client.get(f"/data?{query}")
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_graphs_are_not_written(client: FlaskClient, method: str) -> None:
    response = client.open("/data?graph=urn:g1", method=method)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
