"""Nodes are stopped when there are rows enough, and only then."""

from __future__ import annotations

import json

import pytest

from federation.engine import Engine
from tests.helpers.engine import GRAPHS, asked, owners, snapshot
from tests.helpers.sparql_node import Node, put


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * { ?s ?p ?o } LIMIT 4", 4),
        ("SELECT * { ?s ?p ?o } LIMIT 4 OFFSET 2", 4),
        ("SELECT * { GRAPH ?g { ?s <urn:p> ?o } } LIMIT 3", 3),
        ("SELECT * { GRAPH ?g { ?s a <urn:C> ; <urn:p> ?o } } LIMIT 3", 3),
        ("SELECT * { ?s a <urn:C> ; <urn:p> ?o } LIMIT 3", 3),
        ("SELECT * { ?s a ?c . ?s <urn:p> ?o FILTER(?o > 0) } LIMIT 3 OFFSET 1", 3),
        ("SELECT * { { ?s a ?c } UNION { ?s <urn:p> 2 } UNION { ?x <urn:none> ?y } } LIMIT 12", 12),
        ("SELECT * { ?s a/^a ?x . ?x <urn:p> ?o } LIMIT 3", 3),
        ("SELECT * { ?s (a|<urn:q>)+ ?o } LIMIT 3", 3),
        ("SELECT DISTINCT ?s { ?s <urn:p> ?o FILTER(?o < 2) } LIMIT 3", 3),
        ("SELECT * { ?s ?p ?o } LIMIT 100", 18),
        ("SELECT * { ?s ?p ?o } LIMIT 0", 0),
    ],
)
def test_a_limit_stops_nodes_when_there_are_enough_rows(
    nodes: list[Node], engine: Engine, query: str, rows: int
) -> None:
    found = json.loads(engine.query(query, snapshot(nodes)).body)["results"]["bindings"]
    assert len(found) == rows
    assert len({json.dumps(row, sort_keys=True) for row in found}) == rows
    assert all(" LIMIT " in text for text in asked(nodes))
    assert all(len(node.queries) == 1 for node in nodes)


@pytest.mark.parametrize(
    ("query", "true"),
    [
        ("ASK { ?s ?p ?o }", True),
        ("ASK { GRAPH ?g { ?s <urn:p> 2 } }", True),
        ("ASK { ?s <urn:q> ?o }", False),
        ("ASK { ?s a ?c ; <urn:p> 2 . ?s <urn:p> 1 }", True),
    ],
)
def test_ask_stops_at_the_first_match(nodes: list[Node], engine: Engine, query: str, true: bool) -> None:
    assert json.loads(engine.query(query, snapshot(nodes)).body)["boolean"] is true
    assert all(" LIMIT " in text for text in asked(nodes))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o } ORDER BY ?s LIMIT 4",
        "SELECT ?s (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s LIMIT 4",
        "SELECT * { { SELECT * { ?s ?p ?o } LIMIT 4 } }",
        "SELECT * { ?s ?p ?o } # LIMIT 4",
        "SELECT * { ?s ?p ?o }",
    ],
)
def test_a_query_that_needs_all_quads_stops_no_node(nodes: list[Node], engine: Engine, query: str) -> None:
    engine.query(query, snapshot(nodes))
    assert not any(text.endswith(" LIMIT 108") or " LIMIT " in text for text in asked(nodes))


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT ?s ?x { ?s a <urn:D> OPTIONAL { ?s <urn:q> ?x } } LIMIT 4", ["1 True", "2 False"]),
        (
            "SELECT ?s ?x { GRAPH ?g { ?s a <urn:D> OPTIONAL { ?s <urn:q> ?x } } } LIMIT 4 OFFSET 3",
            ["1 True", "2 False"],
        ),
        ("SELECT ?s { ?s a <urn:D> FILTER NOT EXISTS { ?s <urn:q> ?x } } LIMIT 4", ["2 False"]),
        ("SELECT ?s (EXISTS { { ?s <urn:q> ?y } } AS ?x) { ?s a <urn:D> MINUS { ?s <urn:q> ?x } } LIMIT 4", ["2 True"]),
    ],
)
def test_a_limit_stops_nodes_where_rows_depend_on_more(
    nodes: list[Node], engine: Engine, query: str, rows: list[str]
) -> None:
    """Whether a thing has a match in the optional part is known for all that are chosen: half of them do."""
    for n, graph in enumerate(GRAPHS):
        things = " ".join(f"<urn:s{n}-{m}> a <urn:D> ." for m in range(200))
        more = " ".join(f"<urn:s{n}-{m}> <urn:q> 1 ." for m in range(0, 200, 2))
        for holder in owners(n):
            put(nodes[holder], graph, f"{things} {more}")
    answer = engine.query(query, snapshot(nodes))
    found = json.loads(answer.body)["results"]["bindings"]
    assert answer.sampled
    assert len(found) == len({row["s"]["value"] for row in found}) == 4
    for row in found:
        is_even = int(row["s"]["value"].rpartition("-")[2]) % 2 == 0
        assert f"{1 if is_even else 2} {'x' in row}" in rows
    assert sum(step.rows for step in answer.steps if step.what == "sift") < 1200  # of 1800


def test_a_limit_that_some_rows_do_not_fill_asks_for_more(nodes: list[Node], engine: Engine) -> None:
    for n, graph in enumerate(GRAPHS):
        for holder in owners(n):
            put(nodes[holder], graph, f"<urn:s{n}> <urn:p> " + ", ".join(map(str, range(300))) + " .")
    # Nodes cannot apply this filter; the rows that it keeps are the last or the first.
    found = json.loads(
        engine.query(
            "SELECT ?o { ?s <urn:p> ?o FILTER(STRLEN(STR(?o * 1)) = 3 && ?o > 298 - 0) } LIMIT 5", snapshot(nodes)
        ).body
    )
    assert len(found["results"]["bindings"]) == 5


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * { ?s a <urn:C> ; <urn:p> ?o . ?x <urn:q> ?s } LIMIT 5", 4),
        ("SELECT * { <urn:x0> <urn:q>/<urn:p> ?o } LIMIT 3", 2),
        ("SELECT * { ?x <urn:q>+ ?s } LIMIT 5", 4),
        ("SELECT * { ?s a <urn:C> . GRAPH ?g { ?x <urn:q> ?s } } LIMIT 5", 2),
    ],
)
def test_a_limit_finds_matches_that_span_graphs(nodes: list[Node], engine: Engine, query: str, rows: int) -> None:
    put(nodes[0], "urn:h0", "<urn:x0> <urn:q> <urn:s0> .")
    put(nodes[1], "urn:h1", "<urn:x1> <urn:q> <urn:s3> .")
    put(nodes[2], "urn:h2", "<urn:s0> <urn:r> <urn:s1> . <urn:x2> <urn:q> <urn:x1> .")
    found = json.loads(engine.query(query, snapshot(nodes)).body)["results"]["bindings"]
    assert len(found) == len({json.dumps(row, sort_keys=True) for row in found}) == rows
