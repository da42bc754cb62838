"""The analysis of a query: its dataset, its errors, and the queries that it gives up."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.errors import QueryRefusedError, QuerySyntaxError, UpdateRefusedError


def test_dataset_clauses_are_read_as_the_evaluator_reads_them() -> None:
    plan = analyse(
        "BASE <http://x/y/z> PREFIX a: <../b#> SELECT * FROM <../g?q> FROM a:c%20d FROM NAMED a:e\\.f { ?s ?p ?o }"
    )
    assert (plan.from_default, plan.from_named) == (("http://x/g?q", "http://x/b#c%20d"), ("http://x/b#e.f",))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELECT ?x {\n  ?a ?b ?c }\nLIMIT x", 3, 7),
        ("SELECT ?x { ?s ?p ?o } GROUP BY ?s", 1, 35),
        ("hello", 1, 1),
        ("", 1, 1),
        ("SELEC * { ?s ?p ?o }", 1, 1),
        ("SELECT * { ?s 'e' ?o }", 1, 15),
        ("SELECT * {\n ?s ?p ?o .\n FILTER(?o > )\n}", 3, 14),
        ("SELECT * { ?s ?p ?o } ORDER ?s", 1, 29),
        ("SELECT * { ?s ?p ?o . } }", 1, 25),
        ("SELECT * { ?s ?p ?o", 1, 20),
        ("SELECT * { GRAPH ?g { ?s ?p ?o FILTER(CONTAINS(?o 'x')) } }", 1, 51),
        ("SELECT * { SERVICE <https://a.example/> { ?s ?p ?o } FILTER }", 1, 61),
    ],
)
def test_errors_tell_where(text: str, line: int, column: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        analyse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert len(str(caught.value)) < 300


def test_what_is_no_query_is_refused() -> None:
    with pytest.raises(UpdateRefusedError):
        analyse("DELETE WHERE { ?s ?p ?o }")
    with pytest.raises(QueryRefusedError, match="SERVICE"):
        analyse("SELECT * { SERVICE ?anything {} }")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s <urn:\\u0061> ?o }",
        "SELECT * { << ?s ?p ?o >> ?q ?r }",
        "SELECT * " + "{" * 300 + "}" * 300,
    ],
)
def test_what_cannot_be_analysed_pulls_everything(text: str) -> None:
    plan = analyse(text)
    assert plan.pulls_everything
    assert set(plan.patterns) == {Pattern(DEFAULT_GRAPH), Pattern(ANY_NAMED_GRAPH)}
    assert plan.graph_names == {ANY_NAMED_GRAPH}


def test_a_constant_that_the_parsers_read_differently_is_any() -> None:
    """rdflib resolves against a base as urllib does, pyoxigraph as RFC 3986 says."""
    patterns: Iterable[Pattern] = analyse("BASE <urn:a:b> SELECT * { <#c> <urn:p> <http:d> }").patterns
    assert all(
        pattern.subject in (None, "<urn:a:b#c>") and pattern.object in (None, "<http:d>") for pattern in patterns
    )
