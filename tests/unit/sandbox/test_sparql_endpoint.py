"""SPARQL 1.1 Protocol at the sandbox's node."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from pyoxigraph import NamedNode, Quad, QueryResultsFormat, RdfFormat, parse

from sandbox import sparql_endpoint
from sandbox.storage import Storage
from tests.helpers.waiting import eventually, eventually_works
from tests.unit.sandbox.conftest import Server, started

DATA = b"""
<x:s> <x:p> "default" .
<x:s> <x:a/p> "one" <x:g1> .
<x:s> <x:p> "two" <x:g2> .
<x:s> <x:p> "three" <x:g3> .
"""
DEFAULT = "SELECT ?o { ?s ?p ?o } ORDER BY ?o"
NAMED = "SELECT ?o { GRAPH ?g { ?s ?p ?o } } ORDER BY ?o"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def filled(node: Server) -> Server:
    assert node.post("data", data=DATA, headers={"Content-Type": "application/n-quads"}).status_code == 204
    return node


def objects(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [binding["o"]["value"] for binding in answer.json()["results"]["bindings"]]


@pytest.mark.parametrize("path", ["sparql", "query"])
def test_a_query_comes_in_three_ways(filled: Server, path: str) -> None:
    direct = {"Content-Type": "application/sparql-query"}
    for answer in (
        filled.get(path, params={"query": NAMED}),
        filled.post(path, data={"query": NAMED}),
        filled.post(path, data=NAMED.encode(), headers=direct),
    ):
        assert objects(answer) == ["one", "three", "two"]


def test_named_graphs_are_not_part_of_the_default_graph(filled: Server) -> None:
    assert objects(filled.get("sparql", params={"query": DEFAULT})) == ["default"]


@pytest.mark.parametrize("way", ["get", "form", "direct"])
@pytest.mark.parametrize(
    ("query", "default", "named", "expected"),
    [
        (DEFAULT, ["x:g1", "x:g2"], [], ["one", "two"]),
        (NAMED, ["x:g1"], [], []),
        (DEFAULT, [], ["x:g1"], []),
        (NAMED, [], ["x:g1", "x:g3"], ["one", "three"]),
        (DEFAULT, ["x:g2"], ["x:g1"], ["two"]),
        ("SELECT ?o FROM <x:g1> { ?s ?p ?o }", ["x:g2"], [], ["two"]),
    ],
)
def test_the_request_may_choose_the_dataset(
    filled: Server, way: str, query: str, default: list[str], named: list[str], expected: list[str]
) -> None:
    dataset = {"default-graph-uri": default, "named-graph-uri": named}
    if way == "get":
        answer = filled.get("sparql", params={"query": query, **dataset})
    elif way == "form":
        answer = filled.post("sparql", data={"query": query, **dataset})
    else:
        direct = {"Content-Type": "application/sparql-query"}
        answer = filled.post("sparql", params=dataset, data=query.encode(), headers=direct)
    assert objects(answer) == expected


@pytest.mark.parametrize(
    ("accept", "content_type", "beginning"),
    [
        (None, "application/sparql-results+json", b'{"head":{"vars":["o"]}'),
        ("application/json", "application/json", b'{"head":{"vars":["o"]}'),
        ("application/sparql-results+xml", "application/sparql-results+xml", b"<?xml"),
        ("text/csv", "text/csv; charset=utf-8", b"o\r\n"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=utf-8", b"?o\n"),
        ("text/csv;q=0.5, application/sparql-results+xml;q=0.6", "application/sparql-results+xml", b"<?xml"),
    ],
)
def test_rows_come_in_the_format_asked_for(
    filled: Server, accept: str | None, content_type: str, beginning: bytes
) -> None:
    answer = filled.get("sparql", params={"query": NAMED}, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.content.startswith(beginning)
    assert b"three" in answer.content


def test_a_question_is_answered_true_or_false(filled: Server) -> None:
    for query, expected in (("ASK { ?s ?p 'default' }", True), ("ASK { ?s ?p 'one' }", False)):
        assert filled.get("sparql", params={"query": query}).json()["boolean"] is expected
    xml = filled.get("sparql", params={"query": "ASK {}"}, headers={"Accept": "application/sparql-results+xml"})
    assert b"<boolean>true</boolean>" in xml.content


@pytest.mark.parametrize(
    ("accept", "content_type", "rdf_format"),
    [
        (None, "application/ld+json", RdfFormat.JSON_LD),
        ("text/turtle", "text/turtle; charset=utf-8", RdfFormat.TURTLE),
        ("application/n-triples", "application/n-triples", RdfFormat.N_TRIPLES),
        ("application/rdf+xml", "application/rdf+xml", RdfFormat.RDF_XML),
    ],
)
@pytest.mark.parametrize(
    "query", ["CONSTRUCT { ?s <x:a/q> ?o } { GRAPH ?g { ?s ?p ?o } }", "DESCRIBE <x:s> FROM <x:g1>"]
)
def test_graphs_come_in_the_format_asked_for(
    filled: Server, query: str, accept: str | None, content_type: str, rdf_format: RdfFormat
) -> None:
    answer = filled.get("sparql", params={"query": query}, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert len(list(parse(answer.content, rdf_format))) == (1 if "DESCRIBE" in query else 3)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ({"params": {"query": "SELECT * {"}}, 400, "not SPARQL 1.1: error at 1:11"),
        ({"params": {}}, 400, "Send one query, not 0"),
        ({"params": {"query": ["ASK {}", "ASK {}"]}}, 400, "Send one query, not 2"),
        ({"params": {"query": "ASK {}", "default-graph-uri": "relative"}}, 400, "not an absolute IRI"),
        ({"params": {"query": "SELECT (<x:f>(1) AS ?x) {}"}}, 400, "custom function"),
        ({"params": {"query": "SELECT * { SERVICE <http://127.0.0.1/> {} }"}}, 403, "SERVICE is switched off"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(
    filled: Server, arguments: dict[str, Any], status: int, message: str
) -> None:
    for method in ("GET", "POST"):
        if method == "POST":
            arguments = {"data": arguments["params"], "headers": FORM}
        answer = filled.request(method, "sparql", **arguments)
        assert (answer.status_code, answer.json()["status"]) == (status, "error")
        assert message in answer.json()["message"]


def test_bodies_of_other_kinds_are_refused(filled: Server) -> None:
    assert filled.post("sparql", data=b"{}", headers={"Content-Type": "application/json"}).status_code == 415
    assert filled.post("update", data=b"", headers={"Content-Type": "application/sparql-query"}).status_code == 415
    not_utf8 = {"Content-Type": "application/sparql-query"}
    assert filled.post("sparql", data=b"SELECT \xff", headers=not_utf8).status_code == 400
    assert filled.get("update", params={"update": "CLEAR ALL"}).status_code == 405


@pytest.mark.parametrize("way", ["form", "direct"])
def test_an_update_changes_the_data(filled: Server, way: str) -> None:
    update = (
        'DELETE DATA { GRAPH <x:g1> { <x:s> <x:a/p> "one" } } ; INSERT DATA { GRAPH <x:g4> { <x:s> <x:p> "four" } }'
    )
    if way == "form":
        answer = filled.post("update", data={"update": update})
    else:
        answer = filled.post("update", data=update, headers={"Content-Type": "application/sparql-update"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert objects(filled.get("sparql", params={"query": NAMED})) == ["four", "three", "two"]


@pytest.mark.parametrize(
    ("update", "status"),
    [
        ("INSERT DATA {", 400),
        ("CREATE GRAPH <x:g1>", 400),
        ("LOAD <http://127.0.0.1/>", 403),
        ("CLEAR ALL #" + "x" * 262_144, 413),
    ],
)
def test_a_bad_update_changes_nothing(filled: Server, update: str, status: int) -> None:
    answer = filled.post("update", data={"update": update})
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert objects(filled.get("sparql", params={"query": NAMED})) == ["one", "three", "two"]


def test_an_update_takes_no_dataset_beside_it(filled: Server) -> None:
    assert filled.post("update", data={"update": "CLEAR ALL", "using-graph-uri": "x:g1"}).status_code == 400


# The parsers recurse: on the stack that threads are given by default each of these ends the process.
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * {" + "{" * 130_000 + "}" * 130_000 + "}",
        "ASK {FILTER(" + "STR(" * 50_000 + "1" + ")" * 50_000 + ")}",
        "ASK {FILTER(" + "!" * 250_000 + "1)}",
        "ASK {" + "FILTER EXISTS {" * 16_000 + "}" * 16_000 + "}",
    ],
    ids=["groups", "functions", "negations", "filters"],
)
def test_deeply_nested_queries_do_not_end_the_process(filled: Server, query: str) -> None:
    assert filled.post("query", data={"query": query}).status_code in (200, 400, 503)
    assert filled.get("health").status_code == 200


# Four patterns of 200 triples each: 1.6 billion rows to go through.
ENDLESS = (
    "SELECT (COUNT(*) AS ?n) { ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h FILTER(STR(?b) != CONCAT(STR(?d), STR(?h))) }"
)
FLOOD = "SELECT ?nothing { ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h }"


@contextmanager
def one_at_a_time(seconds: int) -> Iterator[Server]:
    """Run a node that evaluates one query at a time, for so many seconds; it ends in the middle of what it does."""
    with started("node", "--query-threads", "1", "--query-timeout", str(seconds)) as node:
        data = "".join(f"<x:{n}> <x:p> {n} .\n" for n in range(200))
        assert node.put("data?default", data=data, headers={"Content-Type": "text/turtle"}).status_code == 204
        try:
            yield node
        finally:
            node.process.kill()


@pytest.mark.parametrize("query", [ENDLESS, FLOOD], ids=["endless", "flood"])
def test_an_answer_that_never_ends_is_given_up(query: str) -> None:
    with one_at_a_time(1) as slow:
        answer = slow.get("sparql", params={"query": query})
        assert (answer.status_code, answer.json()["message"]) == (503, "The query took more than 1 s. Narrow it.")
        if query is FLOOD:  # a count, which sends nothing meanwhile, keeps its thread
            eventually(lambda: slow.get("sparql", params={"query": "ASK {}"}).json().get("boolean") is True)


@pytest.fixture
def patient() -> Iterator[Server]:
    with one_at_a_time(600) as node:
        yield node


def test_a_query_that_never_ends_holds_nothing_else_up(patient: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(lambda: patient.get("sparql", params={"query": ENDLESS}))
        try:
            eventually_works(patient.process.pid)
            assert patient.get("health").status_code == 200
            assert patient.get("data?default").status_code == 200
            body = b"<x:o> a <https://w3id.org/sedimark/ontology#Offering> ."
            assert patient.put("manager", data=body, headers={"Content-Type": "text/turtle"}).status_code == 200
            assert not endless.done()
        finally:
            patient.process.kill()


def test_an_update_that_never_ends_holds_up_writes_alone(patient: Server) -> None:
    endless = f"INSERT {{ <x:s> <x:p> ?n }} WHERE {{ {ENDLESS} }}"
    body = b"<x:o> a <https://w3id.org/sedimark/ontology#Offering> ."
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(lambda: patient.post("update", data={"update": endless}))]
        try:
            eventually_works(patient.process.pid)
            writing = {"data": body, "headers": {"Content-Type": "text/turtle"}}
            waiting.append(pool.submit(lambda: patient.put("manager", **writing)))
            assert patient.get("health").status_code == 200
            assert patient.get("data?default").status_code == 200
            assert patient.get("sparql", params={"query": "ASK {}"}).json()["boolean"] is True
            assert not any(request.done() for request in waiting)
        finally:
            patient.process.kill()


def test_a_result_that_fails_is_freed_by_the_thread_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(sparql_endpoint, "LARGEST_ANSWER", -1)
    storage = Storage(None)
    name = NamedNode("urn:a")
    storage.store.add(Quad(name, name, name, name))
    sparql = sparql_endpoint.Sparql(storage, 1, 60)
    formats = ("application/json", QueryResultsFormat.JSON), ("text/turtle", RdfFormat.TURTLE)
    try:
        with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="larger than"):
            pool.submit(sparql._evaluate, NAMED, {}, *formats).result()
        gc.collect()
    finally:
        sparql.close()
    assert not unraisable
