"""Nodes of a catalogue, services outside of it, and engines that may call them or not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.engine import Engine
from tests.helpers.services import GRAPHS, JSON, engine_for
from tests.helpers.sparql_node import Node, put, running_nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    """Two nodes with a copy of everything."""
    with running_nodes(2) as nodes:
        for node in nodes:
            for graph, turtle in GRAPHS.items():
                put(node, graph, turtle)
        yield nodes


@pytest.fixture(scope="module")
def others() -> Iterator[list[Node]]:
    """Two other servers."""
    with running_nodes(2) as others:
        for other in others:
            other.media_type = JSON
        yield others


@pytest.fixture
def service(others: list[Node]) -> Iterator[Node]:
    """Another server."""
    service = others[0]
    service.queries.clear()
    service.store.update("""DROP ALL ; INSERT DATA {
        <urn:a> <urn:q> "za" ; <urn:p> 1 . <urn:b> <urn:q> "zb", "zbb" . <urn:x> <urn:q> "zb" ; <urn:p> 5 .
        GRAPH <urn:g1> { <urn:a> <urn:q> "in a graph" }
    }""")
    yield service
    service.fault = ""


@pytest.fixture
def evil(others: list[Node]) -> Node:
    """One that is not allowed."""
    others[1].queries.clear()
    return others[1]


@pytest.fixture(scope="module")
def down() -> Node:
    """One that listens no more."""
    with running_nodes(1) as [down]:
        pass
    return down


@pytest.fixture(scope="module")
def engine(others: list[Node], down: Node) -> Iterator[Engine]:
    engine = engine_for(others[0], down)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def closed_engine() -> Iterator[Engine]:
    """One that calls nobody."""
    engine = Engine(timeout=300, workers=1)
    yield engine
    engine.close()
