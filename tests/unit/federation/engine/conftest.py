"""Three nodes that hold six graphs twice each, and an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.engine import Engine
from tests.helpers.engine import GRAPHS, owners
from tests.helpers.sparql_node import Node, put, running_nodes


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """Three nodes, each graph on two of them."""
    with running_nodes(3) as nodes:
        for n, graph in enumerate(GRAPHS):
            for holder in owners(n):
                put(nodes[holder], graph, f"<urn:s{n}> <urn:p> 1, 2 ; a <urn:C> .")
        yield nodes


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=300, source_timeout=120, workers=1)
    yield engine
    engine.close()
