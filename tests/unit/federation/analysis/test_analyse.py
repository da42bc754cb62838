"""What a query can see."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.errors import QueryRefusedError, QuerySyntaxError, UpdateRefusedError

PREFIX = (
    "PREFIX : <urn:> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> "
    "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "
)
TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
EVERYTHING = (None, None, None)


def seen(text: str) -> set[tuple[str | None, ...]]:
    """The patterns of a query of the default graph, as subject, predicate, object."""
    plan = analyse(PREFIX + text)
    assert not plan.pulls_everything
    assert {pattern.graph for pattern in plan.patterns} <= {DEFAULT_GRAPH}
    return {(pattern.subject, pattern.predicate, pattern.object) for pattern in plan.patterns}


def p(*predicates: str) -> set[tuple[str | None, ...]]:
    return {(None, f"<urn:{predicate}>", None) for predicate in predicates}


@pytest.mark.parametrize(
    ("group", "patterns"),
    [
        ("?s :p ?o", p("p")),
        ("?s a :C", {(None, TYPE, "<urn:C>")}),
        (":s ?p 'x'", {("<urn:s>", None, '"x"')}),
        ("?s :p 1, 1.0, 1e0, true, 'x'@en, '2020'^^xsd:gYear", p("p")),
        (
            "?s :p '1'^^:t, '1'^^xsd:anyURI, '1'^^xsd:string",
            {(None, "<urn:p>", f'"1"{t}') for t in ("^^<urn:t>", "^^<http://www.w3.org/2001/XMLSchema#anyURI>", "")},
        ),
        ("?s :p [ :q _:b ]", p("p", "q")),
        ("{ ?s :p ?o } UNION { ?s :q ?o } OPTIONAL { ?s :r ?o } MINUS { ?s :s ?o }", p("p", "q", "r", "s")),
        ("FILTER NOT EXISTS { ?s :p ?o } BIND(EXISTS { ?s :q ?o FILTER EXISTS { ?s :r ?o } } AS ?e)", p("p", "q", "r")),
        ("{ SELECT (COUNT(*) AS ?n) { ?s :p ?o } GROUP BY ?s HAVING (EXISTS { ?s :q ?o }) }", p("p", "q")),
        ("?s :p/^:q/(:r|:s) ?o", p("p", "q", "r", "s")),
        (":s :p/:q 'x'", {("<urn:s>", "<urn:p>", None), (None, "<urn:q>", '"x"')}),
        (":s ^:p ?o", {(None, "<urn:p>", "<urn:s>")}),
        (":s :p+ ?o", p("p")),
        (":s !:p ?o", {("<urn:s>", None, None)}),
        (":s !(:p|^:q) ?o", {("<urn:s>", None, None), (None, None, "<urn:s>")}),
        ("'x' :p ?o", set()),
    ],
)
def test_patterns(group: str, patterns: set[tuple[str | None, ...]]) -> None:
    assert seen(f"SELECT * {{ {group} }}") == patterns


@pytest.mark.parametrize(
    "group",
    [
        "?s :p* ?o",
        "?s :p? ?o",
        "?s (:p|:q*) ?o",
        "?s (:p?/:q*) ?o",
        "?s ^(:p*) ?o",
        "?s (:p?)+ ?o",
        "[] :p* []",
        "?s :p* ?o . ?o :q* ?z",
        "?a :r ?b . { SELECT * { ?a :p* ?o } }",
        "?a :r ?b . { OPTIONAL { ?a :p* ?o } }",
        "?a :r ?b . { ?x :q ?y MINUS { ?a :p* ?o } }",
        "?a :r ?b . { FILTER NOT EXISTS { ?a :p* ?o } }",
        "OPTIONAL { ?a :p* ?o } ?a :r ?b",
        "{ ?a :r ?b } UNION { ?a :p* ?o }",
        "OPTIONAL { ?a :r ?b } ?a :p* ?o",
        "?s ?a ?b . ?a :p* ?o",
        "VALUES ?a { :x } ?a :p* ?o",
    ],
)
def test_zero_length_paths_see_every_node(group: str) -> None:
    assert EVERYTHING in seen(f"SELECT * {{ {group} }}")


@pytest.mark.parametrize(
    "group",
    [
        "?s :p+ ?o",
        "?s :p*/:q ?o",
        "?a :r ?b . ?a :p* ?o",
        "?s :p* ?b . ?a :r ?b",
        "?a :r ?b . ?a :p* ?o . ?o :q* ?z",
        ":a :p* ?o . ?o :q* ?z",
        "{ ?a :p* ?o } ?a :r ?b",
        "?a :r ?b OPTIONAL { ?a :p* ?o }",
        "?a :r ?b MINUS { ?a :p* ?o }",
        "?a :r ?b FILTER NOT EXISTS { ?o :p* ?a }",
        "?a :r ?b { ?a :p* ?o } UNION { ?b :q* ?o }",
        "?a :r ?b { ?a :p* ?o OPTIONAL { ?a :q* ?z } }",
        "?a :s/:r* ?b . ?b :p* ?o",
    ],
)
def test_zero_length_paths_with_an_anchor_do_not(group: str) -> None:
    assert EVERYTHING not in seen(f"SELECT * {{ {group} }}")


def test_zero_length_paths_from_a_constant_see_whether_it_is_there() -> None:
    assert seen("SELECT * { :a :p* ?o }") == p("p") | {("<urn:a>", None, None), (None, None, "<urn:a>")}


def test_the_anchor_of_another_graph_is_none() -> None:
    plan = analyse(PREFIX + "SELECT * { ?a :r ?b GRAPH ?g { ?a :p* ?o } }")
    assert Pattern(ANY_NAMED_GRAPH) in plan.patterns


def test_the_pattern_of_construct_counts_and_its_template_does_not() -> None:
    assert seen("CONSTRUCT { ?s :t ?o } WHERE { ?s :p ?o }") == p("p")
    assert seen("CONSTRUCT WHERE { ?s :p ?o }") == p("p")


@pytest.mark.parametrize(
    ("text", "graphs", "names"),
    [
        ("GRAPH ?g { ?s :p ?o }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH :g { ?s :p ?o OPTIONAL { ?s :q ?z } }", {"urn:g"}, set()),
        ("?s :p ?o GRAPH ?g { ?s :p ?o GRAPH :h { ?s :q ?o } }", {DEFAULT_GRAPH, ANY_NAMED_GRAPH, "urn:h"}, set()),
        ("GRAPH ?g { ?s :p ?o FILTER EXISTS { ?s :q ?o } }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH ?g {}", set(), {ANY_NAMED_GRAPH}),
        ("FILTER EXISTS { GRAPH :g {} }", set(), {"urn:g"}),
        ("GRAPH ?g { OPTIONAL { ?s :p ?o } }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH ?g { { ?s :p ?o } UNION { ?s :q ?o } }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH ?g { { ?s :p ?o } UNION {} }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH :g { :s :p* ?o }", {"urn:g"}, {"urn:g"}),
        ("GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s :p ?o } }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH ?g { GRAPH :h { ?s :p ?o } }", {"urn:h"}, {ANY_NAMED_GRAPH}),
    ],
)
def test_graphs(text: str, graphs: set[str], names: set[str]) -> None:
    plan = analyse(f"{PREFIX} SELECT * {{ {text} }}")
    assert ({pattern.graph for pattern in plan.patterns}, set(plan.graph_names)) == (graphs, names)


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
