"""Each feature of SPARQL 1.1, over nodes with replicas, a stale copy and a deleted graph, against one store."""

from __future__ import annotations

import pytest

from tests.differential.catalogue import Catalogue
from tests.differential.queries import DATASETS, ORDERED, PROLOGUE, QUERIES
from tests.differential.reference import Reference, Result
from topology.federation.engine import Engine

ACCEPT = "application/sparql-results+json, application/n-triples"
ANALYSIS_GIVES_UP = {"code point escapes"}


@pytest.mark.parametrize("name", QUERIES)
def test_answer_is_that_of_one_store(name: str, engine: Engine, catalogue: Catalogue, reference: Reference) -> None:
    text = PROLOGUE + QUERIES[name]
    answer = engine.query(text, catalogue.snapshot(), accept=ACCEPT)
    found = Result.read(answer.body, answer.content_type)
    assert found.same(reference.answer(text), ordered=name in ORDERED), (found, reference.answer(text))
    assert bool(answer.plan.pulls_everything) == (name in ANALYSIS_GIVES_UP)
    assert answer.missing == ()


@pytest.mark.parametrize("name", DATASETS)
def test_answer_over_the_dataset_of_a_query(
    name: str, engine: Engine, catalogue: Catalogue, reference: Reference
) -> None:
    text, default, named = DATASETS[name]
    answer = engine.query(PROLOGUE + text, catalogue.snapshot(), accept=ACCEPT)
    expected = reference.answer_over(PROLOGUE + text, default, named)
    found = Result.read(answer.body, answer.content_type)
    assert found.same(expected), (found, expected)


@pytest.mark.parametrize("name", DATASETS)
def test_answer_over_the_dataset_of_a_request(
    name: str, engine: Engine, catalogue: Catalogue, reference: Reference
) -> None:
    """The request's dataset is the one that counts, whether the query has one of its own or not."""
    _, default, named = DATASETS[name]
    texts = [
        "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
        "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
        "SELECT * FROM <graph/3> FROM NAMED <graph/4> { { ?s a ?c } UNION { GRAPH ?g { ?s a ?c } } }",
        "DESCRIBE ?s { ?s :theme ?t }",
    ]
    for text in texts:
        answer = engine.query(
            PROLOGUE + text, catalogue.snapshot(), default_graphs=default, named_graphs=named, accept=ACCEPT
        )
        expected = reference.answer_over(PROLOGUE + text, default, named)
        found = Result.read(answer.body, answer.content_type)
        assert found.same(expected), (text, found, expected)


@pytest.mark.parametrize("down", ["node0", "node1"])
def test_answer_with_a_node_down(down: str, engine: Engine, catalogue: Catalogue, reference: Reference) -> None:
    """The other copies take its place, stale copies on other nodes do not."""
    for name, text in QUERIES.items():
        answer = engine.query(PROLOGUE + text, catalogue.snapshot(frozenset({down})), accept=ACCEPT)
        found = Result.read(answer.body, answer.content_type)
        expected = reference.answer(PROLOGUE + text)
        assert found.same(expected, ordered=name in ORDERED), (name, found, expected)
        assert answer.missing in ((down,), ())


def test_without_a_union_the_default_graph_is_empty(catalogue: Catalogue, reference: Reference) -> None:
    engine = Engine(union_default_graph=False, workers=1)
    try:
        for text in ("SELECT * { ?s ?p ?o }", "SELECT * { GRAPH ?g { ?s a :Offering } }", "SELECT * { ?x :next* ?y }"):
            answer = engine.query(PROLOGUE + text, catalogue.snapshot(), accept=ACCEPT)
            expected = Result.of(reference.store(frozenset()).query(PROLOGUE + text))
            assert Result.read(answer.body, answer.content_type).same(expected)
    finally:
        engine.close()
