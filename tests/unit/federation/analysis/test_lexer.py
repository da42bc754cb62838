"""SPARQL text as tokens."""

from __future__ import annotations

import pyoxigraph
import pytest

from federation.analysis.lexer import QueryText


def keywords(text: str) -> set[str]:
    return {token.keyword for token in QueryText(text).tokens}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT * {}", "SELECT"),
        ("# SELECT\nASK {}", "ASK"),
        ("PREFIX select: <http://x/describe> construct {} WHERE {}", "CONSTRUCT"),
        ("BASE <http://x/ask>PREFIX ask:<a> DESCRIBE ask:ask", "DESCRIBE"),
        ("", ""),
        ("INSERT DATA {}", ""),
    ],
)
def test_form_is_the_first_keyword_after_the_prologue(text: str, form: str) -> None:
    assert QueryText(text).form == form


@pytest.mark.parametrize(
    "text", ["insert data {}", "PREFIX a: <b> DELETE {} WHERE {}", "LOAD <x>", "DROP ALL", "WITH <x> DELETE {}"]
)
def test_updates_are_told(text: str) -> None:
    assert QueryText(text).is_update


@pytest.mark.parametrize("text", ["SELECT * { ?insert ?delete 'DROP' }", "ASK { <insert> a drop:load }"])
def test_queries_are_no_updates(text: str) -> None:
    assert not QueryText(text).is_update


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://x> {} }",
        "SELECT * { service silent ?x {} }",
        "SELECT * { FILTER(?a<?b)SERVICE <http://x> {} }",
        "SELECT * { ?s ?p 'a\\'' . SERVICE x:y {} }",
        "SELECT * { ?s ?p '''a'b''' . SERVICE<x>{} }",
        'SELECT * { ?s ?p "#" SERVICE<x>{} }',
    ],
)
def test_service_is_found(text: str) -> None:
    assert "SERVICE" in keywords(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ?service { ?service a service:service }",
        "SELECT * { ?s ?p 'SERVICE <x> {}' }",
        'SELECT * { ?s ?p """\n" SERVICE "" <x> {}""" }',
        "SELECT * { <service> ?p _:service } # SERVICE <x> {}",
        "SELECT * { ?s ?p 'x'@service }",
    ],
)
def test_the_word_service_elsewhere_is_none(text: str) -> None:
    assert "SERVICE" not in keywords(text)


@pytest.mark.parametrize(
    ("text", "default", "named"),
    [
        ("SELECT * FROM <a> FROM NAMED x:b from <c> { ?s ?p ?o }", ["<a>", "<c>"], ["x:b"]),
        ("DESCRIBE <x> FROM <a>", ["<a>"], []),
        ("SELECT ?from { ?from :from 'FROM <a>' }", [], []),
        ("SELECT * FROM", [], []),
    ],
)
def test_dataset_clauses(text: str, default: list[str], named: list[str]) -> None:
    found = QueryText(text).dataset()
    if text.endswith("FROM"):
        assert [token.kind for token in found[0]] == ["word"]
        return
    assert ([token.text for token in found[0]], [token.text for token in found[1]]) == (default, named)


@pytest.mark.parametrize(
    ("text", "resources"),
    [
        ("DESCRIBE <urn:a>", ["urn:a"]),
        ("DESCRIBE <urn:a> # the end", ["urn:a"]),
        ("PREFIX x: <urn:> DESCRIBE x:a ?v <urn:b> WHERE { VALUES ?v { x:c } }", ["urn:a", "urn:b", "urn:c"]),
        ("DESCRIBE * { VALUES ?v { <urn:c> } } LIMIT 1", ["urn:c"]),
        ("DESCRIBE ?v { VALUES ?v { <urn:c> <urn:d> } } ORDER BY DESC(?v) LIMIT 1", ["urn:d"]),
        ("DESCRIBE <urn:a> FROM <urn:g> FROM NAMED <urn:h>", ["urn:a"]),
        ("DESCRIBE <urn:a> FROM <urn:g> LIMIT 1", ["urn:a"]),
        ("DESCRIBE ?v FROM <urn:g> {} VALUES ?v { <urn:c> }", ["urn:c"]),
        ("DESCRIBE <urn:a> LIMIT 0", []),
        ("BASE <urn:base:>\nDESCRIBE <urn:a>{}", ["urn:a"]),
    ],
)
def test_resources_of_describe_become_a_select_query(text: str, resources: list[str]) -> None:
    pyoxigraph.Store().query(text)
    solutions = pyoxigraph.Store().query(QueryText(text).resources_query())
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    assert sorted(term.value for solution in solutions for term in solution if term) == sorted(resources)


def test_reading_takes_linear_time() -> None:
    """Texts made to be slow are read as fast as others of their length."""
    for text in (
        "a." * 30_000,
        '"""' + "a'" * 50_000,
        "<" * 100_000,
        "_:" * 50_000,
        "a:" + "." * 100_000,
        "@a-" * 100_000,
        "'\\" * 50_000,
    ):
        assert QueryText(text).tokens
