"""Queries over a store, where pyoxigraph alone would answer otherwise than the specification."""

from __future__ import annotations

import pyoxigraph
import pytest

from federation.analysis.analyse import analyse
from federation.analysis.lexer import QueryText
from federation.errors import TooLargeError
from federation.evaluation.corrections import graph_by_graph, path_ends

GRAPHS = {
    "urn:g1": "<urn:a> <urn:knows> <urn:b> . <urn:b> <urn:knows> <urn:c> .",
    "urn:g2": "<urn:a> <urn:knows> <urn:b> . <urn:a> <urn:p> 1, 2 .",
    "urn:g3": "<urn:d> <urn:p> 5 .",
}


@pytest.fixture
def store() -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    for graph, turtle in GRAPHS.items():
        store.load(turtle.encode(), pyoxigraph.RdfFormat.TURTLE, to_graph=pyoxigraph.NamedNode(graph))
        store.load(turtle.encode(), pyoxigraph.RdfFormat.TURTLE)
    return store


def rows(store: pyoxigraph.Store, text: str) -> list[str]:
    plan = analyse(text)
    text = QueryText(text).with_outer_graphs()
    if plan.graph_by_graph:
        text = graph_by_graph(text, list(GRAPHS))
    with path_ends(store, plan.path_ends, text):
        solutions = store.query(text)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        found = solutions.serialize(format=pyoxigraph.QueryResultsFormat.CSV)
    assert found is not None
    return sorted(found.decode().replace("urn:", "").splitlines()[1:])


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", ["g1,2", "g2,3", "g3,1"]),
        ("select ?g ?n { graph ?g{select(count(*)as ?n){?s ?p ?o}}}", ["g1,2", "g2,3", "g3,1"]),
        ("SELECT ?g ?n { GRAPH ?g { { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } ?x <urn:p> 5 } }", ["g3,1"]),
        ("SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s <urn:none> ?o } } }", ["g1,0", "g2,0", "g3,0"]),
        (
            "SELECT ?g ?s ?n { GRAPH ?g { SELECT ?s (COUNT(*) AS ?n) { ?s <urn:knows> ?o } GROUP BY ?s } }",
            ["g1,a,1", "g1,b,1", "g2,a,1"],
        ),
        ("SELECT ?g ?s { GRAPH ?g { SELECT DISTINCT ?s { ?s ?p ?o } } }", ["g1,a", "g1,b", "g2,a", "g3,d"]),
        (
            "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { SELECT * { ?s ?p ?o } LIMIT 1 } } GROUP BY ?g",
            ["g1,1", "g2,1", "g3,1"],
        ),
        ("SELECT ?g ?n { GRAPH ?g { SELECT ?g (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?g } }", ["g1,2", "g2,3", "g3,1"]),
        ("SELECT ?g { GRAPH ?g { FILTER(?g = <urn:g2>) { SELECT * { ?s ?p ?o } LIMIT 1 } } }", ["g2"]),
        ("SELECT ?g ?n { VALUES ?g { <urn:g2> } GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", ["g2,3"]),
        (
            "SELECT ?g ?h ?n { GRAPH ?g { <urn:d> ?p ?o GRAPH ?h { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } } }",
            ["g3,g1,2", "g3,g2,3", "g3,g3,1"],
        ),
        (
            "SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o # }\n } } # { SELECT\n }",
            ["g1,2", "g2,3", "g3,1"],
        ),
        ("SELECT ?n { GRAPH <urn:g1> { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", ["2"]),
        ("PREFIX : <urn:> SELECT ?n { GRAPH :g1 { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", ["2"]),
        ("SELECT ?n { GRAPH <urn:none> { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", []),
        (
            "SELECT ?g ?t { GRAPH ?g { VALUES (?g ?t) { (UNDEF 'foo') (<urn:g1> 'bar') } } }",
            ["g1,bar", "g1,foo", "g2,foo", "g3,foo"],
        ),
        ("SELECT ?g ?t { GRAPH ?g { { VALUES ?t { 1 } } UNION { ?t <urn:p> 5 } } }", ["g1,1", "g2,1", "g3,1", "g3,d"]),
        ("SELECT ?t { GRAPH <urn:none> { VALUES ?t { 1 } } }", []),
        ("SELECT ?g ?a { GRAPH ?g { ?a <urn:p> 5 MINUS { ?b <urn:p> ?o } } }", ["g3,d"]),
        ("SELECT ?g ?a { GRAPH ?g { ?a <urn:p> 5 MINUS { ?a <urn:p> ?o } } }", []),
        ("SELECT ?g ?a { GRAPH ?g { ?a <urn:p> 5 MINUS { ?g <urn:p> ?o } } }", ["g3,d"]),
        ("SELECT ?g ?a { GRAPH ?g { MINUS { ?a <urn:p> ?o } ?a <urn:p> 5 } }", ["g3,d"]),
        ("SELECT ?g ?a { GRAPH ?g { OPTIONAL { ?a <urn:p> 9 } MINUS { ?a <urn:p> 5 } } }", ["g1,", "g2,", "g3,"]),
        ("SELECT ?g ?a { GRAPH ?g { OPTIONAL { ?a <urn:p> 5 } MINUS { ?a <urn:p> 5 } } }", ["g1,", "g2,"]),
        ("SELECT ?g ?a { GRAPH ?g { ?a <urn:p> 5 MINUS { ?b <urn:p> 5 OPTIONAL { ?a <urn:knows> ?c } } } }", ["g3,d"]),
        ("SELECT ?g ?a { GRAPH ?g { ?a <urn:p> 5 { ?b <urn:p> 5 MINUS { ?a <urn:p> 5 } } } }", ["g3,d"]),
        ("SELECT ?g ?a { GRAPH ?g { { ?b <urn:p> 5 } UNION { ?a <urn:p> 5 } MINUS { ?a <urn:p> 5 } } }", ["g3,"]),
        ("SELECT ?n { OPTIONAL { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s <urn:p> 5 } } FILTER(?n > 0) } }", ["1"]),
    ],
)
def test_a_sub_select_within_graph_is_evaluated_in_each_graph(
    store: pyoxigraph.Store, text: str, right: list[str]
) -> None:
    assert rows(store, text) == right


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { GRAPH ?g { ?s ?p ?o } }",
        "SELECT * { GRAPH ?g { OPTIONAL { ?s ?p ?o } BIND(1 AS ?x) } }",
        "SELECT * { GRAPH ?g { ?s ?p ?o VALUES ?s { <urn:a> } } }",
        "SELECT * { GRAPH ?g { ?s ?p ?o MINUS { ?s ?p 5 } } }",
        "SELECT * { GRAPH ?g { ?s ?p ?o OPTIONAL { ?s ?p ?x } MINUS { ?s ?p 5 OPTIONAL { ?s ?q ?y } } } }",
        "SELECT * { GRAPH ?g { { ?s ?p 1 } UNION { ?o ?q ?s } FILTER(?s > (1)) MINUS { { ?s ?p 5 } UNION { ?s ?q 6 } } } }",
        "SELECT * { VALUES ?g { <urn:g1> } GRAPH ?g { ?s ?p ?o } }",
    ],
)
def test_what_the_evaluator_does_right_is_left_to_it(text: str) -> None:
    assert not analyse(text).graph_by_graph


def test_without_graphs_a_sub_select_within_graph_finds_nothing() -> None:
    text = graph_by_graph("SELECT ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", [])
    assert list(pyoxigraph.Store().query(text)) == []  # type: ignore[arg-type]


def test_a_sub_select_in_a_thousand_graphs_is_evaluated() -> None:
    store = pyoxigraph.Store()
    names = [f"urn:g{n}" for n in range(1000)]
    for name in names:
        store.add_graph(pyoxigraph.NamedNode(name))
    text = graph_by_graph("SELECT ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }", names)
    assert len(list(store.query(text))) == 1000  # type: ignore[arg-type]


def test_a_union_that_would_be_too_long_is_refused() -> None:
    with pytest.raises(TooLargeError, match="FROM NAMED"):
        graph_by_graph(f"SELECT * {{ GRAPH ?g {{ SELECT * {{ ?s ?p '{'x' * 100_000}' }} }} }}", ["urn:g"] * 1000)


@pytest.mark.parametrize("mark", ["*", "?"])
@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("SELECT ?o { <urn:none> <urn:knows>MARK ?o }", ["none"]),
        ("SELECT ?o { ?o <urn:knows>MARK <urn:none> }", ["none"]),
        ("SELECT ?o { ?o <urn:knows>MARK 'text'@en }", ["text"]),
        ("SELECT ?o { ?o <urn:knows>MARK 77 }", ["77"]),
        ("SELECT ?g { GRAPH ?g { <urn:none> <urn:knows>MARK <urn:none> } }", ["g1", "g2", "g3"]),
        ("SELECT ?g { GRAPH ?g { <urn:none> <urn:knows>MARK ?o } }", ["g1", "g2", "g3"]),
        ("SELECT ?o { GRAPH <urn:g3> { <urn:a> <urn:knows>MARK ?o } }", ["a"]),
        ("SELECT ?o { GRAPH <urn:none> { <urn:a> <urn:knows>MARK ?o } }", []),
        ("SELECT (COUNT(*) AS ?n) { <urn:none> (<urn:knows>|^<urn:p>)MARK ?o }", ["1"]),
        ("SELECT ?o { <urn:none> <urn:knows>MARK/<urn:p>MARK ?o }", ["none"]),
    ],
)
def test_a_path_of_length_zero_begins_at_any_constant(
    store: pyoxigraph.Store, text: str, right: list[str], mark: str
) -> None:
    before = set(store)
    assert rows(store, text.replace("MARK", mark)) == right
    assert set(store) == before


def test_only_queries_with_graph_change_named_graphs(store: pyoxigraph.Store) -> None:
    for text, count in (
        ("SELECT * { <urn:none> <urn:p>* ?o }", 1),
        ("SELECT * { graph ?g { <urn:none> <urn:p>* ?o } }", 4),
    ):
        before = len(store)
        with path_ends(store, analyse(text).path_ends, text):
            assert len(store) == before + count


@pytest.mark.parametrize(
    "rest",
    ["?s ?p ?x", "?s !<urn:p> ?x", "?s <urn:p>* ?x", "GRAPH ?g { ?s ?p ?x }", "FILTER NOT EXISTS { ?s ?p <urn:none> }"],
)
def test_no_query_sees_the_triples_that_let_constants_be_nodes(store: pyoxigraph.Store, rest: str) -> None:
    assert analyse(f"SELECT * {{ <urn:none> <urn:knows>* ?o . {rest} }}").path_ends == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT ?h ?s { GRAPH ?h { GRAPH <urn:g3> { ?s <urn:p> ?o } } }", ["g1,d", "g2,d", "g3,d"]),
        ("SELECT ?h ?g { GRAPH ?h { GRAPH ?g { <urn:d> <urn:p> ?o } } }", ["g1,g3", "g2,g3", "g3,g3"]),
        ("SELECT ?h ?s { graph ?h { { GRAPH <urn:g3> { ?s <urn:p> ?o } } UNION { ?s <urn:p> 1 } } }", None),
        ("SELECT ?s { GRAPH <urn:none> { GRAPH <urn:g3> { ?s <urn:p> ?o } } }", []),
        ("SELECT ?s { GRAPH <urn:g1> { GRAPH <urn:g3> { ?s <urn:p> ?o } } }", ["d"]),
        ("SELECT ?h ?s { GRAPH ?h { ?s <urn:p> 5 GRAPH <urn:g1> { <urn:a> <urn:knows> ?o } } }", ["g3,d"]),
        (
            "SELECT ?h ?n { GRAPH ?h { SELECT (COUNT(*) AS ?n) { GRAPH <urn:g3> { ?s ?p ?o } } } }",
            ["g1,1", "g2,1", "g3,1"],
        ),
        ("SELECT (COUNT(*) AS ?n) { GRAPH ?h { GRAPH ?g { GRAPH <urn:g3> { ?s ?p ?o } } } }", ["9"]),
    ],
)
def test_a_graph_around_another_one_is_looked_for(store: pyoxigraph.Store, text: str, found: list[str] | None) -> None:
    assert rows(store, text) == (["g1,d", "g2,a", "g2,d", "g3,d"] if found is None else found)
