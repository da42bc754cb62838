"""Two nodes and an engine for the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.engine import Engine
from sandbox.made_up_offerings import generate
from tests.helpers.catalogue import HOSTILE
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox, running_node
from topology.rdf.offering_graph import read_description


@pytest.fixture(scope="session")
def _second_node() -> Iterator[Sandbox]:
    with running_node() as node:
        yield node


@pytest.fixture
def nodes(node: Sandbox, _second_node: Sandbox) -> tuple[Sandbox, Sandbox]:
    """Two catalogue nodes of the sandbox, empty and well."""
    _second_node.faults()
    _second_node.ask("PUT", "/catalogue/data", b"", "application/n-quads")
    return node, _second_node


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give the engine of a gateway."""
    engine = Engine(timeout=300, source_timeout=120, workers=1)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def harvested() -> Iterator[Serving]:
    """Give a gateway with five offerings: three that are complete, a bare one, and a hostile one."""
    engine = Engine(timeout=60, source_timeout=60, workers=1)
    with running_node() as node:
        serving = Serving(engine)
        serving.has("a", node.url)
        complete = {one.address: read_description(one.description, one.iri) for one in generate(3)}
        others = {"0xb": described(G), "0xc": read_description(HOSTILE.encode(), "https://p.example/")}
        for address, description in {**complete, **others}.items():
            serving.place("a", description)
            serving.list(address, description)
        yield serving
    engine.close()
