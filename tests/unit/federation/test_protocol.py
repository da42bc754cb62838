"""The SPARQL 1.1 Protocol over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import flask
import pyoxigraph
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.unit.federation.node import Node, running_nodes
from tests.unit.federation.test_engine import put
from topology.federation.attempt import Limits
from topology.federation.engine import Engine
from topology.federation.protocol import COMPLETENESS, PATHS, sparql_blueprint
from topology.federation.sources import Snapshot, Source

SELECT = "SELECT ?s { ?s <urn:p> ?o FILTER(?o + 1 > 1 && ?o < 5) }"
CONSTRUCT = "CONSTRUCT WHERE { ?s <urn:p> ?o }"
COUNT_GRAPHS = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    with running_nodes(2) as nodes:
        for node in nodes:
            put(node, "urn:g1", "<urn:s1> <urn:p> 1 .")
        put(nodes[1], "urn:g2", "<urn:s2> <urn:p> 2 .")
        yield nodes


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=3, workers=1, limits=Limits(most_triples=1000))
    yield engine
    engine.close()


def client_of(engine: Engine, nodes: list[Node], *, partial_answers: bool = True) -> FlaskClient:
    def snapshot(avoided: frozenset[str]) -> Snapshot:
        sources = tuple(Source(f"node {n}", node.url) for n, node in enumerate(nodes) if f"node {n}" not in avoided)
        return Snapshot(sources, {"urn:g1": sources[0].id if sources else ""}, frozenset(), tuple(sorted(avoided)))

    app = flask.Flask(__name__)
    app.register_blueprint(
        sparql_blueprint(engine, snapshot, max_request_bytes=10_000, partial_answers=partial_answers)
    )
    return app.test_client()


@pytest.fixture
def client(engine: Engine, nodes: list[Node]) -> Iterator[FlaskClient]:
    yield client_of(engine, nodes)
    for node in nodes:
        node.fault = ""


def subjects(response: TestResponse) -> set[str]:
    assert response.status_code == 200, response.text
    return {binding["s"]["value"] for binding in response.get_json(force=True)["results"]["bindings"]}


@pytest.mark.parametrize("path", PATHS)
def test_every_way_to_send_a_query(client: FlaskClient, path: str) -> None:
    responses = [
        client.get(path, query_string={"query": SELECT}),
        client.post(path, data={"query": SELECT}),
        client.post(path, data=SELECT, content_type="application/sparql-query"),
        client.post(path, data=SELECT, content_type="application/sparql-query; charset=utf-8"),
        client.post(path, data="query=" + SELECT, content_type=FORM),
        client.post(path, data="query=" + quote(SELECT, safe="?&+;"), content_type=FORM),
        client.post(path, data="query=" + SELECT, content_type="text/plain"),
    ]
    for response in responses:
        assert subjects(response) == {"urn:s1", "urn:s2"}
        assert response.headers[COMPLETENESS] == "complete"
        assert response.content_type == "application/sparql-results+json"


def test_the_dataset_of_a_request(client: FlaskClient) -> None:
    dataset = {"default-graph-uri": ["urn:g2"]}
    for response in (
        client.get("/sparql", query_string={"query": SELECT, **dataset}),
        client.post("/sparql", data={"query": SELECT, **dataset}),
        client.post("/sparql", data=SELECT, query_string=dataset, content_type="application/sparql-query"),
    ):
        assert subjects(response) == {"urn:s2"}
    response = client.get("/sparql", query_string={"query": COUNT_GRAPHS, "named-graph-uri": ["urn:g1", "urn:g3"]})
    assert response.get_json(force=True)["results"]["bindings"][0]["n"]["value"] == "1"


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        (SELECT, "application/json", "application/json"),
        (SELECT, "application/sparql-results+xml", "application/sparql-results+xml"),
        (SELECT, "text/csv", "text/csv; charset=utf-8"),
        (SELECT, "text/tab-separated-values", "text/tab-separated-values; charset=utf-8"),
        (CONSTRUCT, "text/turtle", "text/turtle; charset=utf-8"),
        (CONSTRUCT, "application/ld+json", "application/ld+json"),
        (CONSTRUCT, "application/rdf+xml", "application/rdf+xml"),
        (CONSTRUCT, "application/n-triples", "application/n-triples"),
    ],
)
def test_formats(client: FlaskClient, query: str, accept: str, content_type: str) -> None:
    response = client.get("/sparql", query_string={"query": query}, headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (200, content_type)
    assert b"urn:s1" in response.data and b"urn:s2" in response.data
    assert response.headers["Vary"] == "Accept"


def test_a_service_description(client: FlaskClient) -> None:
    response = client.get("/sparql")
    assert response.content_type == "text/turtle; charset=utf-8"
    triples = [str(quad.triple) for quad in pyoxigraph.parse(response.data, pyoxigraph.RdfFormat.TURTLE)]
    sd = "http://www.w3.org/ns/sparql-service-description#"
    assert any(f"<{sd}endpoint> <http://localhost/sparql>" in triple for triple in triples)
    assert any(f"<{sd}feature> <{sd}UnionDefaultGraph>" in triple for triple in triples)


def problem(response: TestResponse, status: int) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    found = response.get_json(force=True)
    assert found["status"] == status and found["detail"]
    return dict(found)


def test_bad_queries_are_told_where(client: FlaskClient) -> None:
    found = problem(client.post("/sparql", data={"query": "SELECT ?s {\n} LIMIT x"}), 400)
    assert (found["line"], found["column"]) == (2, 9)
    assert str(found["detail"]).startswith("line 2, column 9: ")
    found = problem(client.post("/sparql", data="query=SELECT ?s {\n} LIMIT x & y", content_type=FORM), 400)
    assert (found["line"], found["column"]) == (2, 9)


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        ("", FORM, 400),
        ("other=1", FORM, 400),
        ("query=ASK+%7B%7D&query=ASK+%7B%7D", FORM, 400),
        ("query=%FF", FORM, 400),
        (b"query=\xff", FORM, 400),
        ("update=DROP+ALL", FORM, 400),
        ("query=DROP+ALL", FORM, 400),
        ("DROP ALL", "application/sparql-update", 400),
        ("ASK {}", "application/json", 415),
        ("query=ASK+%7B+SERVICE+%3Chttp%3A%2F%2F127.0.0.1%2F%3E+%7B%7D+%7D", FORM, 403),
        ("query=ASK+%7B%7D&default-graph-uri=no+iri", FORM, 400),
        ("query=ASK+%7B%7D%23" + "x" * 10_000, FORM, 413),
        ("ASK {} #" + "x" * 10_000, "application/sparql-query", 413),
    ],
)
def test_bad_requests(client: FlaskClient, data: str, content_type: str, status: int) -> None:
    problem(client.post("/sparql", data=data, content_type=content_type), status)


def test_a_body_without_a_length_is_bounded_too(client: FlaskClient) -> None:
    response = client.post(
        "/sparql",
        content_type="application/sparql-query",
        environ_overrides={"wsgi.input": _Endless(), "wsgi.input_terminated": True},
    )
    problem(response, 413)


class _Endless:
    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of an endless body was asked for"
        return b"#" * min(size, 1000)


def test_a_get_without_a_query_but_with_parameters(client: FlaskClient) -> None:
    problem(client.get("/sparql?default-graph-uri=urn:g"), 400)


def test_formats_that_cannot_be_had(client: FlaskClient) -> None:
    found = problem(client.get("/sparql", query_string={"query": SELECT}, headers={"Accept": "image/png"}), 406)
    assert "text/csv" in str(found["detail"])


def test_too_large(client: FlaskClient) -> None:
    problem(client.get("/sparql", query_string={"query": "SELECT * { " + "?s ?p ?o . " * 30_000 + "}"}), 422)


def test_too_slow(client: FlaskClient) -> None:
    many = " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(40))
    found = problem(client.get("/sparql", query_string={"query": f"SELECT (COUNT(*) AS ?n) {{ {many} }}"}), 504)
    assert "evaluation" in str(found["detail"])


def test_partial_answers_say_so(client: FlaskClient, nodes: list[Node], engine: Engine) -> None:
    nodes[1].fault = "error"
    response = client.get("/sparql", query_string={"query": SELECT})
    assert subjects(response) == {"urn:s1"}
    assert response.headers[COMPLETENESS] == "partial; missing=node%201"
    strict = client_of(engine, nodes, partial_answers=False)
    response = strict.get("/sparql", query_string={"query": SELECT})
    assert "node 1" in str(problem(response, 503)["detail"])
    assert response.headers["Retry-After"]


def test_no_nodes(client: FlaskClient, nodes: list[Node]) -> None:
    for node in nodes:
        node.fault = "error"
    problem(client.get("/sparql", query_string={"query": SELECT}), 503)


@pytest.mark.parametrize("path", PATHS)
def test_pages_of_other_origins_may_ask(client: FlaskClient, path: str) -> None:
    headers = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "POST"}
    response = client.options(path, headers=headers)
    assert response.status_code == 200
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
    for answer in (response, client.get(path, query_string={"query": SELECT}), client.get(path + "?query=x")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert COMPLETENESS in answer.headers["Access-Control-Expose-Headers"]


def test_head(client: FlaskClient) -> None:
    response = client.head("/sparql", query_string={"query": SELECT})
    assert (response.status_code, response.data) == (200, b"")
