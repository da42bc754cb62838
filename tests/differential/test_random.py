"""Random queries over nodes with replicas, a stale copy and a deleted graph, against one store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.differential.grammar import GRAPHS, QUERIES
from tests.differential.graphs import EX, PREFIXES, triples
from tests.differential.reference import Reference, Result
from tests.unit.federation.node import Node, running_nodes
from topology.federation.engine import Engine
from topology.federation.sources import Snapshot, Source

PROLOGUE = f"PREFIX : <{EX}> "
ACCEPT = "application/sparql-results+json, application/n-triples"


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    """Three nodes with two copies of each graph; the one that has neither has an old copy, or a deleted graph."""
    with running_nodes(3) as nodes:
        for n, (name, turtle) in enumerate(GRAPHS.items()):
            nodes[n % 3].put(name, triples(turtle))
            nodes[(n + 1) % 3].put(name, triples(turtle))
        nodes[2].put(f"{EX}g/1", triples(PREFIXES + ":a :p :stranger . :stranger :q :b ."))
        nodes[0].put(f"{EX}g/deleted", triples(PREFIXES + ":a :p :c . :b :n 1 ."))
        yield nodes


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(GRAPHS)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=QUERIES, down=st.sampled_from([None, None, 0, 1, 2]))
def test_answer_is_that_of_one_store(
    text: str, down: int | None, nodes: list[Node], engine: Engine, reference: Reference
) -> None:
    try:
        expected = reference.answer(PROLOGUE + text)
    except SyntaxError:
        assume(False)
    answer = engine.query(PROLOGUE + text, _snapshot(nodes, down), accept=ACCEPT)
    found = Result.read(answer.body, answer.content_type)
    assert found.same(expected), f"{text}\nfederation: {found}\none store: {expected}\nasked: {answer.steps[0].text}"


def _snapshot(nodes: list[Node], down: int | None) -> Snapshot:
    holders = {name: f"node{n % 3 if n % 3 != down else (n + 1) % 3}" for n, name in enumerate(GRAPHS)}
    sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes) if n != down)
    return Snapshot(sources, holders, frozenset({f"{EX}g/deleted"}))
