"""One job of a worker process, done in this process: what it answers, and how it fails."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import msgspec
import pyoxigraph
import pytest
from rdflib.plugins.sparql.parserutils import CompValue

from federation.analysis.analyse import analyse
from federation.analysis.plan import Plan
from federation.errors import (
    FederationError,
    NotAcceptableError,
    NotEnoughError,
    QueryRefusedError,
    QuerySyntaxError,
    ServiceFailedError,
    TooLargeError,
)
from federation.evaluation import process
from federation.evaluation.messages import Analyse, Evaluated, Failed, Job, Planned
from tests.helpers.evaluation import JSON, QUADS, job

RDF_XML, SPARQL_XML = "application/rdf+xml", "application/sparql-results+xml"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ALL = "SELECT ?o { ?s ?p ?o }"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


def do(job: Job, store: pyoxigraph.Store | None = None) -> bytes | Plan:
    """Do a job; return its result, or raise its error, as the server gets them."""
    reply = process._do(job, store, lambda part: None)
    if isinstance(reply, Failed):
        raise reply.error()
    return reply.body if isinstance(reply, Evaluated) else reply.plan


def rows(text: str, quads: bytes = b"", graphs: tuple[str, ...] = (), **further: Any) -> list[dict[str, str]]:
    """Evaluate a SELECT; return the terms of each solution by their variables."""
    result = do(msgspec.structs.replace(job(text, quads, graphs=graphs), **further))
    assert isinstance(result, bytes)
    return [{name: term["value"] for name, term in row.items()} for row in json.loads(result)["results"]["bindings"]]


def written(text: str, quads: str, media_type: str) -> bytes:
    result = do(msgspec.structs.replace(job(text, quads.encode()), media_type=media_type))
    assert isinstance(result, bytes)
    return result


def test_the_default_graph_and_named_ones_are_those_of_the_quads() -> None:
    quads = b"<urn:s> <urn:p> 'default' .\n<urn:s> <urn:p> 'named' <urn:g> .\n".replace(b"'", b'"')
    assert rows(ALL, quads) == [{"o": "default"}]
    assert rows("SELECT ?g ?o { GRAPH ?g { ?s ?p ?o } }", quads) == [{"g": "urn:g", "o": "named"}]


def test_a_graph_exists_without_quads() -> None:
    assert rows("SELECT * { GRAPH ?g {} }", graphs=("urn:g",)) == [{"g": "urn:g"}]


def test_what_is_one_triple_of_several_graphs_counts_once() -> None:
    """The merged quads have it once in the default graph, and FROM clauses were heeded before."""
    quads = b"<urn:s> <urn:p> <urn:o> .\n" + b"".join(b"<urn:s> <urn:p> <urn:o> <urn:%d> .\n" % n for n in range(3))
    text = "SELECT (COUNT(*) AS ?n) FROM <urn:0> FROM <urn:1> { ?s ?p ?o }"
    assert rows(text, quads, stored_default_graph=True) == [{"n": "1"}]


def test_named_graphs_of_the_protocol_win_over_those_of_the_query() -> None:
    quads = b"".join(b"<urn:s> <urn:p> <urn:o> <urn:%d> .\n" % n for n in range(3))
    text = "SELECT ?g FROM NAMED <urn:0> { GRAPH ?g { ?s ?p ?o } }"
    assert rows(text, quads) == [{"g": "urn:0"}]
    assert rows(text, quads, named_graphs=("urn:2",)) == [{"g": "urn:2"}]
    assert rows(text, quads, named_graphs=()) == []


def test_a_query_over_a_view_reads_the_views_store_and_no_quads() -> None:
    store = pyoxigraph.Store()
    store.add(pyoxigraph.Quad(pyoxigraph.NamedNode("urn:s"), pyoxigraph.NamedNode("urn:p"), pyoxigraph.Literal("view")))
    result = do(job(ALL, b"not read"), store)
    assert isinstance(result, bytes) and b"view" in result


def test_one_query_leaves_nothing_to_the_next() -> None:
    assert len(rows(ALL, QUADS)) == 3000
    assert rows(ALL) == []


def test_blank_nodes_keep_their_labels() -> None:
    quads = b"_:abc <urn:p> _:def <urn:g> .\n_:abc <urn:p> _:def .\n"
    assert rows("SELECT ?s ?o { ?s <urn:p> ?o GRAPH ?g { ?s ?p ?o } }", quads) == [{"s": "abc", "o": "def"}]


@pytest.mark.parametrize(
    ("text", "at_least", "enough"),
    [
        (f"{ALL} LIMIT 5", 5, True),
        (f"{ALL} LIMIT 5", 6, False),
        ("ASK { ?s ?p ?o }", 1, True),
        ("ASK { ?s <urn:no> ?o }", 1, False),
        ("ASK { ?s <urn:no> ?o }", 0, True),
    ],
)
def test_too_few_rows_are_no_answer_where_more_quads_may_give_more(text: str, at_least: int, enough: bool) -> None:
    asked = msgspec.structs.replace(job(text, QUADS), at_least=at_least)
    if enough:
        assert do(asked)
    else:
        with pytest.raises(NotEnoughError):
            do(asked)


@pytest.mark.parametrize("size", [1_000, 10**6])
def test_a_result_ends_at_its_limit(size: int) -> None:
    asked = job(ALL, QUADS, max_bytes=size)
    if size > 1_000:
        assert len(do(asked)) < size  # type: ignore[arg-type]
    else:
        with pytest.raises(TooLargeError, match="LIMIT"):
            do(asked)


@pytest.mark.parametrize(
    ("object_", "media_type"),
    [
        ('"a\\u0001b"', RDF_XML),
        ('"a\\u0001b"', SPARQL_XML),
        ('"a\\uFFFEb"', SPARQL_XML),
        ("<<( <urn:a> <urn:b> <urn:c> )>>", "application/ld+json"),
    ],
)
def test_a_format_that_cannot_hold_an_answer_is_refused(object_: str, media_type: str) -> None:
    text = ALL if media_type == SPARQL_XML else "CONSTRUCT WHERE { ?s ?p ?o }"
    quads = f"<urn:s> <urn:p> {object_} .\n"
    with pytest.raises(NotAcceptableError, match="ask for"):
        written(text, quads, media_type)
    assert written(text, quads, JSON if text == ALL else "text/turtle")


@pytest.mark.parametrize(
    "predicate", ["http://p.example/1", *(f"{RDF}{name}" for name in ("li", "about", "Description"))]
)
def test_a_predicate_without_a_name_in_xml_is_refused_there(predicate: str) -> None:
    quads = f"<urn:s> <{predicate}> <urn:o> .\n"
    with pytest.raises(NotAcceptableError, match="RDF/XML"):
        written("CONSTRUCT WHERE { ?s ?p ?o }", quads, RDF_XML)


def test_carriage_returns_survive_parsers_of_xml() -> None:
    document = written(ALL, '<urn:s> <urn:p> "a\\r\\nb\\r" .\n', SPARQL_XML)
    assert [one.text for one in ElementTree.fromstring(document).iter() if one.tag.endswith("literal")] == ["a\r\nb\r"]


def test_a_server_that_a_query_calls_is_named_where_it_fails() -> None:
    text = "SELECT * { SERVICE <http://127.0.0.1:1/sparql> { ?s ?p ?o } }"
    with pytest.raises(ServiceFailedError, match=r"SERVICE <http://127\.0\.0\.1:1/sparql> failed: ."):
        do(msgspec.structs.replace(job(text), services=("http://127.0.0.1:1/sparql",)))


def test_errors_of_syntax_keep_their_place() -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        do(Analyse("SELECT ?x {\n} LIMIT x"))
    assert (caught.value.line, caught.value.column) == (2, 9)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), TooLargeError, "too much memory"),
        (RecursionError("deep " * 100), QueryRefusedError, "RecursionError: deep"),
        (KeyError("row"), QueryRefusedError, "cannot be answered: KeyError"),
    ],
    ids=repr,
)
def test_an_error_of_one_query_reaches_no_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[FederationError], said: str
) -> None:
    def fail(text: str, bounded: object) -> Plan:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(process, "analyse", fail)
        with pytest.raises(kind, match=said) as caught:
            do(Analyse("ASK {}"))
        assert len(str(caught.value)) < 300
    assert isinstance(process._do(Analyse("ASK {}"), None, lambda part: None), Planned)


def _parse_without_end(text: str) -> CompValue:
    """Parse as slowly as can be, and catch every exception, as parsers do."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


def test_a_query_whose_analysis_takes_too_long_gets_a_wide_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.analysis.analyse.parseQuery", _parse_without_end)
    monkeypatch.setattr(process, "_ANALYSIS_SECONDS", 0.01)
    plan = do(Analyse("SELECT * { ?s <urn:p> ?o }"))
    assert isinstance(plan, Plan)
    assert "too long" in plan.pulls_everything
    assert plan.columns == ("s", "o")


def test_the_evaluators_parser_reads_a_query_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes many seconds for a query of some hundred patterns, and no signal ends it."""
    stores = []

    def store() -> pyoxigraph.Store:
        stores.append(pyoxigraph.Store())
        return stores[-1]

    fake = SimpleNamespace(Store=store, QuerySolutions=pyoxigraph.QuerySolutions, NamedNode=pyoxigraph.NamedNode)
    monkeypatch.setattr("federation.analysis.analyse.pyoxigraph", fake)
    monkeypatch.setattr("federation.analysis.analyse.parseQuery", _parse_without_end)
    monkeypatch.setattr(process, "_ANALYSIS_SECONDS", 0.01)
    do(Analyse("SELECT * { ?s <urn:p> ?o }"))
    assert len(stores) == 1


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT * { ?s ?p ?o }", "s p o"),
        ("select distinct*{ $s ?p ?o }", "s p o"),
        ("PREFIX s: <urn:> SELECT REDUCED * { # ?a\n ?z s:p ?o . BIND('?b' AS ?y) } ORDER BY ?o LIMIT 1", "z o y"),
        ("SELECT * { GRAPH ?g { ?s ?p ?o } OPTIONAL { ?s ?p ?a } }", "g s p o a"),
        (
            "SELECT * { { SELECT ?y (COUNT(?x) AS ?n) { ?y ?p ?x } GROUP BY ?y } ?y ?b ?c MINUS { ?d ?b ?c } }",
            "y n b c",
        ),
        ("SELECT * { ?s ?p ?o } VALUES (?o ?a) { (1 2) }", "s p o a"),
        ("SELECT * { GRAPH ?z { SELECT * { ?s ?p ?o } LIMIT 1 } }", "z s p o"),
        ("SELECT * { }", ""),
        ("SELECT ?o ?s { ?s ?p ?o }", "o s"),
        ("SELECT (COUNT(*) AS ?n) ?s { ?s ?p ?o } GROUP BY ?s", "n s"),
        ("SELECT ?o { { SELECT * { ?s ?p ?o } } }", "o"),
    ],
)
def test_columns_of_a_star_come_as_in_the_query(text: str, columns: str) -> None:
    plan = analyse(text)
    asked = msgspec.structs.replace(job(text, QUADS), graph_by_graph=plan.graph_by_graph)
    found, plain = do(msgspec.structs.replace(asked, columns=plan.columns)), do(asked)
    assert isinstance(found, bytes) and isinstance(plain, bytes)
    assert json.loads(found)["head"]["vars"] == columns.split()
    assert sorted(json.loads(plain)["head"]["vars"]) == sorted(columns.split())
    assert len(json.loads(found)["results"]["bindings"]) == len(json.loads(plain)["results"]["bindings"])


def test_the_time_for_an_analysis_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_ANALYSIS_SECONDS", 600)
    do(Analyse("ASK {}"))
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_the_memory_of_a_process_is_what_it_has_used_and_reserved() -> None:
    before = process.memory_taken()
    kept = bytearray(50 * 1024 * 1024)
    after = process.memory_taken()
    assert after.total - before.total >= len(kept) and 0 < after.resident <= after.total
