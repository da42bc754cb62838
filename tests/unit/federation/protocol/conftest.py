"""Nodes, an engine, and a client of its protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from federation.budget import Limits
from federation.engine import Engine
from tests.helpers.protocol import client_of
from tests.helpers.sparql_node import Node, put, running_nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    with running_nodes(2) as nodes:
        for node in nodes:
            put(node, "urn:g1", "<urn:s1> <urn:p> 1 .")
        put(nodes[1], "urn:g2", "<urn:s2> <urn:p> 2 .")
        yield nodes


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=300, workers=1, limits=Limits(max_triples=1000))
    yield engine
    engine.close()


@pytest.fixture
def client(engine: Engine, nodes: list[Node]) -> Iterator[FlaskClient]:
    yield client_of(engine, nodes)
    for node in nodes:
        node.fault = ""
