"""The SPARQL protocol: requests, formats, errors."""

from __future__ import annotations

import gzip
import time
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from federation.engine import Engine
from federation.protocol.sparql import COMPLETENESS, PATHS
from tests.helpers.protocol import CONSTRUCT, FORM, SELECT, client_of, problem, subjects
from tests.helpers.sparql_node import Node

COUNT_GRAPHS = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"


@pytest.mark.parametrize("path", PATHS)
def test_every_way_to_send_a_query(client: FlaskClient, path: str) -> None:
    responses = [
        client.get(path, query_string={"query": SELECT}),
        client.post(path, data={"query": SELECT}),
        client.post(path, data=SELECT, content_type="application/sparql-query"),
        client.post(path, data=SELECT, content_type="application/sparql-query; charset=utf-8"),
        client.post(path, data="query=" + SELECT, content_type=FORM),
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
        (CONSTRUCT, "application/json", "application/json"),
        (CONSTRUCT, "application/rdf+xml", "application/rdf+xml"),
        (CONSTRUCT, "application/n-triples", "application/n-triples"),
    ],
)
def test_formats(client: FlaskClient, query: str, accept: str, content_type: str) -> None:
    response = client.get("/sparql", query_string={"query": query}, headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (200, content_type)
    assert b"urn:s1" in response.data and b"urn:s2" in response.data
    assert response.headers["Vary"] == "Accept"


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


@pytest.mark.slow
def test_too_slow(nodes: list[Node]) -> None:
    engine = Engine(timeout=300, workers=1)
    many = " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(40))
    asked = {"query": f"SELECT (COUNT(*) AS ?n) {{ {many} }}", "timeout": "3"}
    engine.prepare(asked["query"])  # so that the time goes into its evaluation
    found = problem(client_of(engine, nodes).get("/sparql", query_string=asked), 504)
    engine.close()
    assert "in time: waited for the query's evaluation; " in str(found["detail"])


def test_partial_answers_say_so(client: FlaskClient, nodes: list[Node], engine: Engine) -> None:
    nodes[1].fault = "error"
    response = client.get("/sparql", query_string={"query": SELECT})
    assert subjects(response) == {"urn:s1"}
    assert response.headers[COMPLETENESS] == "partial; missing=node%201"
    strict = client_of(engine, nodes, partial_answers=False)
    response = strict.get("/sparql", query_string={"query": SELECT})
    found = problem(response, 503)
    assert "node 1" in str(found["detail"])
    assert found["nodes"] == ["node 1"]
    assert response.headers["Retry-After"]


def test_nodes_that_all_answer_with_errors(client: FlaskClient, nodes: list[Node]) -> None:
    for node in nodes:
        node.fault = "error"
    response = client.get("/sparql", query_string={"query": SELECT})
    assert problem(response, 502)["nodes"] == ["node 0", "node 1"]
    assert "Retry-After" not in response.headers


def test_nodes_that_are_all_busy(client: FlaskClient, nodes: list[Node]) -> None:
    for node in nodes:
        node.fault = "busy"
    response = client.get("/sparql", query_string={"query": SELECT})
    assert problem(response, 503)["nodes"] == ["node 0", "node 1"]
    assert response.headers["Retry-After"]


def test_head(client: FlaskClient) -> None:
    get = client.get("/sparql", query_string={"query": SELECT})
    response = client.head("/sparql", query_string={"query": SELECT})
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == get.headers["ETag"]
    assert response.content_length == len(get.data)


class TestFormats:
    @pytest.mark.parametrize("name", ["format", "output"])
    def test_a_parameter_beats_the_header(self, client: FlaskClient, name: str) -> None:
        headers = {"Accept": "application/json"}
        for response in (
            client.get("/sparql", query_string={"query": SELECT, name: "csv"}, headers=headers),
            client.post("/sparql", data={"query": SELECT, name: "csv"}, headers=headers),
            client.post(f"/sparql?{name}=csv", data={"query": SELECT}, headers=headers),
            client.post(f"/sparql?{name}=csv", data=SELECT, content_type="application/sparql-query", headers=headers),
        ):
            assert response.content_type == "text/csv; charset=utf-8"
            assert response.data.startswith(b"s\r\n")

    def test_a_media_type_whose_plus_was_not_escaped(self, client: FlaskClient) -> None:
        response = client.get(f"/sparql?query={quote(SELECT)}&format=application/sparql-results+xml")
        assert response.content_type == "application/sparql-results+xml"

    @pytest.mark.parametrize("name", ["auto", "html", "rdf+xml", "x" * 1000])
    def test_the_header_decides_where_no_name_is_known(self, client: FlaskClient, name: str) -> None:
        query = {"query": SELECT, "format": name, "output": name, "results": name}
        for response in (
            client.get("/sparql", query_string=query, headers={"Accept": "text/csv"}),
            client.post("/sparql", data=query, headers={"Accept": "text/csv"}),
        ):
            assert (response.status_code, response.mimetype) == (200, "text/csv")
        problem(client.get("/sparql", query_string=query, headers={"Accept": "image/png"}), 406)

    @pytest.mark.parametrize(
        ("accept", "names"),
        [
            ("application/n-quads", ()),
            ("application/trig", ()),
            ("text/n3", ()),
            ("application/x-turtle, text/turtle;q=0.5", ()),
            ("application/turtle,text/rdf+n3,application/n3,text/n3", ("n3",)),
        ],
    )
    def test_graphs_come_in_many_formats(self, client: FlaskClient, accept: str, names: tuple[str, ...]) -> None:
        query = {"query": "CONSTRUCT WHERE { ?s ?p ?o }", "format": names}
        response = client.get("/sparql", query_string=query, headers={"Accept": accept})
        assert response.status_code == 200
        assert str(response.mimetype) in accept
        assert b"urn:s1" in response.data


class TestRequests:
    def test_parameters_in_the_address_of_a_form_count_too(self, client: FlaskClient) -> None:
        response = client.post("/sparql?default-graph-uri=urn:g2", data={"query": SELECT})
        assert subjects(response) == {"urn:s2"}

    @pytest.mark.parametrize("content_type", [FORM, "application/sparql-query"])
    def test_a_query_in_the_address_of_a_post_is_refused(self, client: FlaskClient, content_type: str) -> None:
        body = "ASK {}" if content_type != FORM else "query=ASK+{}"
        problem(client.post("/sparql?query=ASK+{}", data=body, content_type=content_type), 400)
        found = problem(client.post("/sparql?query=ASK+{}"), 400)
        assert "in the body" in str(found["detail"])

    def test_a_byte_order_mark_before_a_query_is_not_a_part_of_it(self, client: FlaskClient) -> None:
        data = b"\xef\xbb\xbf" + SELECT.encode()
        assert subjects(client.post("/sparql", data=data, content_type="application/sparql-query")) == {
            "urn:s1",
            "urn:s2",
        }

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("SELECT (<> AS ?s) {}", "http://localhost/sparql"),
            ("SELECT (<a> AS ?s) {}", "http://localhost/a"),
            ("PREFIX : <#> SELECT (:x AS ?s) {}", "http://localhost/sparql#x"),
            ("BASE <x/> SELECT (<y> AS ?s) {}", "http://localhost/x/y"),
            ("BASE <http://example.org/x/> SELECT (<y> AS ?s) {}", "http://example.org/x/y"),
            ("SELECT (<//h/a> AS ?s) {}", "http://h/a"),
            ("SELECT (iri('a') AS ?s) {}", "http://localhost/a"),
            ("SELECT (URI('') AS ?s) {}", "http://localhost/sparql"),
        ],
    )
    def test_relative_iris_are_resolved_against_the_address(self, client: FlaskClient, query: str, found: str) -> None:
        assert subjects(client.post("/sparql", data={"query": query})) == {found}

    @pytest.mark.parametrize("query", ["SELECT ?s { <rel> ?p ?s }", "SELECT ?s FROM <g1> { ?s ?p ?o }"])
    def test_relative_iris_name_terms_and_graphs(self, client: FlaskClient, query: str) -> None:
        assert subjects(client.post("/sparql", data={"query": query})) == set()
        assert client.post("/sparql", data={"query": "DESCRIBE <>"}).status_code == 200

    def test_a_base_that_was_added_moves_no_column_of_an_error(self, client: FlaskClient) -> None:
        found = problem(client.post("/sparql", data={"query": "SELECT (<> AS ?x) {} }"}), 400)
        assert (found["line"], found["column"]) == (1, 22)

    def test_a_form_without_a_media_type_is_refused(self, client: FlaskClient) -> None:
        problem(client.post("/sparql", data=b"query=ASK%20%7B%7D"), 415)
        assert client.post("/sparql", data=b"query=ASK%20%7B%7D", content_type="text/plain").status_code == 200

    def test_a_timeout_of_the_request_is_kept(self, client: FlaskClient) -> None:
        many = " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(40))
        slow = f"SELECT (COUNT(*) AS ?n) {{ {many} }}"
        problem(client.get("/sparql", query_string={"query": slow, "timeout": "1"}), 504)
        problem(client.get("/sparql", query_string={"query": SELECT, "timeout": "soon"}), 400)

    def test_a_timeout_that_would_end_every_evaluator_is_a_second(self, engine: Engine) -> None:
        engine.prepare("ASK {}")  # its plan is cached from now on
        start = time.monotonic()

        assert engine.prepare("ASK {}", timeout=1e-9).budget.deadline >= start + 1

    def test_parameters_that_nobody_knows_do_no_harm(self, client: FlaskClient) -> None:
        assert subjects(client.get("/sparql", query_string={"query": SELECT, "timeout": "500", "x": ""})) == {
            "urn:s1",
            "urn:s2",
        }

    def test_a_media_type_that_is_not_read_is_told_which_are(self, client: FlaskClient) -> None:
        response = client.post("/sparql", data="ASK {}", content_type="multipart/form-data; boundary=x")
        problem(response, 415)
        assert "application/sparql-query" in response.headers["Accept"]

    def test_a_body_that_is_compressed_is_not_read(self, client: FlaskClient) -> None:
        headers = {"Content-Encoding": "gzip"}
        response = client.post("/sparql", data=gzip.compress(b"query=ASK+{}"), content_type=FORM, headers=headers)
        assert "Content-Encoding" in str(problem(response, 415)["detail"])

    @pytest.mark.parametrize("query", ["?qeury=ASK+{}", "?x", "?=", "?format=csv&x=1"])
    def test_parameters_without_a_query_ask_for_no_description(self, client: FlaskClient, query: str) -> None:
        problem(client.get(f"/sparql{query}"), 400)

    def test_a_query_with_bytes_that_are_not_utf_8_asks_for_nothing_else(self, client: FlaskClient) -> None:
        found = problem(client.get("/sparql?query=ASK+%7B+%3Fs+%3Fp+'caf%E9'+%7D"), 400)
        assert "UTF-8" in str(found["detail"])


class TestExplain:
    def test_in_place_of_the_result_it_is_told_what_was_done(self, client: FlaskClient) -> None:
        response = client.get("/sparql", query_string={"query": SELECT, "explain": "json"})
        assert response.content_type == "application/json"
        assert response.headers[COMPLETENESS] == "complete"
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers
        told = response.get_json()
        assert (told["form"], told["completeness"]) == ("SELECT", "complete")
        assert told["totals"]["seconds"] > 0
        assert told["steps"]

    @pytest.mark.parametrize(
        ("explain", "accept", "content_type"),
        [
            ("1", "*/*", "text/plain; charset=utf-8"),
            ("true", "", "text/plain; charset=utf-8"),
            ("1", "application/json", "application/json"),
            ("1", "text/plain, application/json;q=0.9", "text/plain; charset=utf-8"),
            ("text", "application/json", "text/plain; charset=utf-8"),
            ("TEXT", "image/png", "text/plain; charset=utf-8"),
            ("json", "text/plain", "application/json"),
            ("0", "*/*", "application/sparql-results+json"),
            ("", "*/*", "application/sparql-results+json"),
        ],
    )
    def test_as_text_or_json(self, client: FlaskClient, explain: str, accept: str, content_type: str) -> None:
        for response in (
            client.get("/sparql", query_string={"query": SELECT, "explain": explain}, headers={"Accept": accept}),
            client.post("/sparql", data={"query": SELECT, "explain": explain}, headers={"Accept": accept}),
        ):
            assert (response.status_code, response.content_type) == (200, content_type)
            assert response.data

    def test_the_result_is_made_in_the_format_asked_for(self, client: FlaskClient) -> None:
        asked = {"query": SELECT, "explain": "json", "format": "csv"}
        assert client.get("/sparql", query_string=asked).get_json()["content_type"] == "text/csv"

    def test_in_no_other_way(self, client: FlaskClient) -> None:
        found = problem(client.get("/sparql", query_string={"query": SELECT, "explain": "html"}), 400)
        assert "text, json" in str(found["detail"])

    def test_errors_stay_errors(self, client: FlaskClient) -> None:
        problem(client.get("/sparql", query_string={"query": "SELECT", "explain": "1"}), 400)


class TestCancelling:
    def test_nobody_waits(self, client: FlaskClient) -> None:
        gone = {"waitress.client_disconnected": lambda: True}
        response = client.get(
            "/sparql", query_string={"query": SELECT}, headers={"Cache-Control": "no-cache"}, environ_overrides=gone
        )
        assert "went away" in str(problem(response, 503)["detail"])
