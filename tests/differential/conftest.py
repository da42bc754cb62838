"""Nodes, real ones, with graphs on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.differential.catalogue import Catalogue, everything, sandbox_nodes
from tests.differential.reference import Reference
from tests.servers import fuseki_server
from topology.federation.engine import Engine

KINDS = ["sandbox", pytest.param("mixed", marks=pytest.mark.fuseki)]


@pytest.fixture(scope="session", params=KINDS)
def catalogue(request: pytest.FixtureRequest) -> Iterator[Catalogue]:
    """Three nodes: sandbox nodes, or two of them and Fuseki."""
    with ExitStack() as stack:
        if request.param == "mixed":
            fuseki = stack.enter_context(fuseki_server(own=True))
            nodes = [*stack.enter_context(sandbox_nodes(2)), fuseki.url]
        else:
            nodes = stack.enter_context(sandbox_nodes(3))
        yield Catalogue(nodes)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine, with the bounds that it has anyway."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def reference() -> Reference:
    """One store with everything."""
    return Reference(everything())
