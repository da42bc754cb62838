"""Each feature of SPARQL 1.1, over nodes of each kind with replicas, stale copies and a deleted graph, against one store."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest

from federation.engine import Engine
from federation.source_selection import Snapshot
from tests.differential.catalogue import Catalogue
from tests.differential.queries import DATASETS, ORDERED, PROLOGUE, QUERIES
from tests.differential.reference import Result

ANALYSIS_GIVES_UP = {"code point escapes", "VALUES without variables"}


@pytest.fixture(scope="module")
def is_cheap(nodes: list[str], five_sandbox_nodes: list[str]) -> bool:
    """Whether there is time to ask these nodes everything several times: the three sandbox nodes."""
    return nodes == five_sandbox_nodes[:3]


@pytest.mark.parametrize("name", QUERIES)
def test_answer_is_that_of_one_store(name: str, engine: Engine, viewing_engine: Engine, catalogue: Catalogue) -> None:
    text = PROLOGUE + QUERIES[name]
    expected = catalogue.reference().answer(text)
    for asked in (engine, viewing_engine):
        answer = asked.query_with_failover(text, catalogue.snapshot)
        while asked is viewing_engine and answer.tier != "view":  # after a pause it fetches providers' graphs again
            answer = asked.query_with_failover(text, catalogue.snapshot)
        found = Result.read(answer.body, answer.media_type)
        assert found.same(expected, ordered=name in ORDERED), (answer.tier, text, found, expected)
        assert bool(answer.plan.pulls_everything) == (name in ANALYSIS_GIVES_UP), answer.plan.pulls_everything
        assert answer.missing == ()


@pytest.mark.parametrize("name", DATASETS)
def test_answer_over_the_dataset_of_a_query(name: str, engine: Engine, catalogue: Catalogue) -> None:
    text, default, named = DATASETS[name]
    answer = engine.query(PROLOGUE + text, catalogue.snapshot())
    expected = catalogue.reference().answer_over(PROLOGUE + text, default, named)
    found = Result.read(answer.body, answer.media_type)
    assert found.same(expected), (found, expected)


@pytest.mark.parametrize("name", DATASETS)
def test_answer_over_the_dataset_of_a_request(name: str, engine: Engine, catalogue: Catalogue) -> None:
    """The request's dataset is the one that counts, whether the query has one of its own or not."""
    _, default, named = DATASETS[name]
    texts = [
        "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
        "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
        "SELECT * FROM <graph/3> FROM NAMED <graph/4> { { ?s a ?c } UNION { GRAPH ?g { ?s a ?c } } }",
        "SELECT * { ?o a :Offering ; :title ?t ; :theme ?h FILTER(CONTAINS(LCASE(?t), 'title')) }",
        "SELECT * { GRAPH ?g { ?o a :Offering ; :title ?t FILTER(CONTAINS(LCASE(?t), 'title')) } }",
        "DESCRIBE ?s { ?s :theme ?t }",
    ]
    for text in texts:
        answer = engine.query(PROLOGUE + text, catalogue.snapshot(), default_graphs=default, named_graphs=named)
        expected = catalogue.reference().answer_over(PROLOGUE + text, default, named)
        found = Result.read(answer.body, answer.media_type)
        assert found.same(expected), (text, found, expected)


def test_answer_with_each_node_down_in_turn(engine: Engine, catalogue: Catalogue, is_cheap: bool) -> None:
    """The other copies take its place, stale copies on other nodes do not; what it alone had is told to be missing.

    Where nodes are slow or many, each query is asked without one of them.
    """
    wrong: list[tuple[object, ...]] = []

    def without(node: str) -> Callable[[frozenset[str]], Snapshot]:
        return lambda failed: catalogue.snapshot(failed | {node})

    every = 1 if is_cheap else len(catalogue.sources)
    for n, source in enumerate(catalogue.sources):
        avoided = frozenset({source.id})
        for name, text in islice(QUERIES.items(), n % every, None, every):
            answer = engine.query_with_failover(PROLOGUE + text, without(source.id))
            found = Result.read(answer.body, answer.media_type)
            expected = catalogue.reference(avoided).answer(PROLOGUE + text)
            if not found.same(expected, ordered=name in ORDERED):
                wrong.append((source.id, name, text, found, expected))
            complete = answer.missing == ()
            if answer.missing != catalogue.missing(avoided) and not complete:
                wrong.append((source.id, name, text, "it tells that other nodes are missing", answer.missing))
            if complete and not expected.same(catalogue.reference().answer(PROLOGUE + text)):
                wrong.append((source.id, name, text, "it is not complete, and does not say so"))
    assert not wrong


def test_without_a_union_the_default_graph_is_empty(catalogue: Catalogue) -> None:
    engine = Engine(union_default_graph=False, workers=1)
    try:
        for text in (
            "SELECT ?s ?p ?o { ?s ?p ?o }",
            "SELECT ?g ?s { GRAPH ?g { ?s a :Offering } }",
            "SELECT ?x { ?x :next* ?y }",
        ):
            answer = engine.query(PROLOGUE + text, catalogue.snapshot())
            expected = Result.of(catalogue.reference().store(frozenset()).query(PROLOGUE + text))
            assert Result.read(answer.body, answer.media_type).same(expected)
    finally:
        engine.close()
