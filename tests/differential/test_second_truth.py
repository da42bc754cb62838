"""Queries that pyoxigraph alone answers in another way than the specification, against Apache Jena Fuseki."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from federation.engine import Engine
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import put, running_nodes
from tests.servers import Fuseki

pytestmark = pytest.mark.fuseki

EX = "http://example.org/"
GRAPHS = {
    f"{EX}g1": f"<{EX}a> <{EX}knows> <{EX}b> . <{EX}b> <{EX}knows> <{EX}c> , <{EX}a> .",
    f"{EX}g2": f"<{EX}a> <{EX}knows> <{EX}b> ; <{EX}age> 1 , 2 . <{EX}g1> <{EX}size> 3 .",
    f"{EX}g3": f"<{EX}d> <{EX}age> 5 ; <{EX}in> <{EX}g2> .",
}
QUERIES = [
    "SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }",
    "SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s :none ?o } } }",
    "SELECT ?g ?n { GRAPH ?g { { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } ?x :age 5 } }",
    "SELECT ?g ?s ?n { GRAPH ?g { SELECT ?s (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s } }",
    "SELECT ?g ?s { GRAPH ?g { SELECT DISTINCT ?s { ?s ?p ?o } } }",
    "SELECT ?g ?m { GRAPH ?g { SELECT (MAX(?o) AS ?m) { ?s :age ?o } HAVING (COUNT(*) > 0) } }",
    "SELECT ?g ?n { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } FILTER(?n > 2) }",
    "SELECT ?g ?n { ?x :in ?g GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }",
    "SELECT ?g ?n { GRAPH ?g { ?s :knows ?o OPTIONAL { SELECT ?s (COUNT(*) AS ?n) { ?s :knows ?z } GROUP BY ?s } } }",
    "SELECT ?n { GRAPH :g1 { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }",
    "SELECT ?g ?o { GRAPH ?g { ?g :size ?o } }",
    "SELECT ?g ?t { GRAPH ?g { VALUES (?g ?t) { (UNDEF 'foo') (:g1 'bar') } } }",
    "SELECT ?g ?s { GRAPH ?g { ?s :age 5 MINUS { ?x :age ?o } } }",
    "SELECT ?g ?s { GRAPH ?g { MINUS { ?s :age ?o } ?s :age 5 } }",
    "SELECT ?g ?s { GRAPH ?g { OPTIONAL { ?s :age 9 } MINUS { ?s :age ?o } } }",
    "SELECT ?g ?s { GRAPH ?g { OPTIONAL { ?s :age 5 } MINUS { ?s :age ?o } } }",
    "SELECT ?g ?s { GRAPH ?g { ?s :age 5 MINUS { ?x :age ?o OPTIONAL { ?s :none ?y } } } }",
    "SELECT ?g ?s { GRAPH ?g { ?s :age ?o { ?x :age 5 MINUS { ?s :age ?o } } } }",
    "SELECT ?g ?s ?x { GRAPH ?g { { ?s :age 5 } UNION { ?x :age 5 } MINUS { ?s :age 5 } } }",
    "SELECT ?h ?s ?o { GRAPH ?h { GRAPH :g3 { ?s :age ?o } } }",
    "SELECT ?h ?g ?s { GRAPH ?h { GRAPH ?g { ?s :age ?o } } }",
    "SELECT ?h ?g ?s { GRAPH ?h { GRAPH ?g { ?s :age ?o } ?s :in ?x } }",
    "SELECT ?h ?s { GRAPH ?h { { GRAPH :g3 { ?s :age ?o } } UNION { ?s :size ?o } } }",
    "SELECT ?h ?g { GRAPH ?h { OPTIONAL { GRAPH ?g { :d :age 5 } } } }",
    "SELECT ?h { GRAPH ?h { GRAPH :g3 { GRAPH :g1 { :a :knows :b } } } }",
    "SELECT ?s { GRAPH :nowhere { GRAPH :g3 { ?s :age ?o } } }",
    "SELECT ?s { GRAPH :nowhere { GRAPH ?g { ?s :age ?o } } }",
    "SELECT ?s { GRAPH :g1 { GRAPH :g3 { ?s :age ?o } } }",
    "SELECT ?h { GRAPH :g1 { GRAPH ?h {} } }",
    "SELECT ?g ?h { ?x :in ?g OPTIONAL { GRAPH ?g { GRAPH ?h { :d :age 5 } } } }",
    "SELECT ?h ?n { GRAPH ?h { SELECT (COUNT(*) AS ?n) { GRAPH :g3 { ?s :age ?o } } } }",
    *(
        query.replace("MARK", mark)
        for mark in "*?"
        for query in (
            "SELECT ?o { :nowhere :knowsMARK ?o }",
            "SELECT ?o { ?o :knowsMARK :nowhere }",
            "SELECT ?o { :a :knowsMARK ?o }",
            "SELECT (COUNT(*) AS ?n) { :nowhere :knowsMARK :nowhere }",
            "SELECT (COUNT(*) AS ?n) { :nowhere :knowsMARK :other }",
            "SELECT ?g ?o { GRAPH ?g { :d :knowsMARK ?o } }",
            "SELECT ?g { GRAPH ?g { :nowhere :knowsMARK :nowhere } }",
            "SELECT ?o { :nowhere (:knows|^:age)MARK/:ageMARK ?o }",
            "SELECT ?o { GRAPH :g3 { 77 ^:ageMARK ?o } }",
            "SELECT ?x ?o { ?x :age 5 . :nowhere :knowsMARK ?o }",
            "SELECT ?x ?o { ?x :age 5 OPTIONAL { :nowhere :knowsMARK ?o } }",
        )
    ),
]


@pytest.fixture(scope="module")
def snapshot() -> Iterator[Snapshot]:
    """Three nodes, two copies of each graph."""
    with running_nodes(3) as nodes:
        for n, (name, turtle) in enumerate(GRAPHS.items()):
            for holder in (n, (n + 1) % 3):
                put(nodes[holder], name, turtle)
        sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
        yield Snapshot(sources, {name: f"node{n}" for n, name in enumerate(GRAPHS)})


@pytest.fixture(scope="module")
def truth(fusekis: list[Fuseki]) -> Fuseki:
    """One server that holds each graph once, and their union as its default graph."""
    server = fusekis[0]
    server.clear()
    for name, turtle in GRAPHS.items():
        for parameters in ({"graph": name}, {"default": ""}):
            answer = requests.post(
                f"{server.url}/data",
                params=parameters,
                data=turtle.encode(),
                headers={"Content-Type": "text/turtle"},
                timeout=120,
            )
            answer.raise_for_status()
    return server


def rows(document: dict[str, Any]) -> Counter[str]:
    bindings = document["results"]["bindings"]
    return Counter(json.dumps({name: term["value"] for name, term in row.items()}, sort_keys=True) for row in bindings)


@pytest.mark.parametrize("query", QUERIES)
def test_the_answer_is_fuseki_s(query: str, engine_of_tests: Engine, snapshot: Snapshot, truth: Fuseki) -> None:
    text = f"PREFIX : <{EX}> {query}"
    answer = engine_of_tests.query(text, snapshot)
    expected = requests.post(
        f"{truth.url}/sparql",
        data={"query": text},
        headers={"Accept": "application/sparql-results+json"},
        timeout=120,
    )
    assert rows(json.loads(answer.body)) == rows(expected.json())


@pytest.fixture(scope="module")
def engine_of_tests() -> Iterator[Engine]:
    engine = Engine(workers=1)
    yield engine
    engine.close()
