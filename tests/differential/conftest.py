"""Nodes, real ones, on which each module puts the graphs of its world."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from federation.engine import Engine
from tests.differential.catalogue import Catalogue, over_view, sandbox_nodes
from tests.differential.worlds import FEATURES, World
from tests.servers import Fuseki, fuseki_server

KINDS = [
    "three sandbox nodes",
    "five sandbox nodes",
    pytest.param("three Fuseki servers", marks=pytest.mark.fuseki),
    pytest.param("two sandbox nodes and Fuseki", marks=pytest.mark.fuseki),
]


@pytest.fixture(scope="session")
def five_sandbox_nodes() -> Iterator[list[str]]:
    """The endpoints of sandbox nodes, each a process of its own."""
    with sandbox_nodes(5) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def fusekis() -> Iterator[list[Fuseki]]:
    """Fuseki servers, each a process of its own, that tests may freeze as long as they let them go on in the end."""
    with ExitStack() as stack, ThreadPoolExecutor(3) as starting:
        started = [starting.submit(stack.enter_context, fuseki_server(own=True)) for _ in range(3)]
        yield [server.result() for server in started]


@pytest.fixture(scope="module", params=KINDS)
def nodes(request: pytest.FixtureRequest) -> list[str]:
    """The endpoints of nodes of each kind; what they hold is for each module to say."""

    def drawn(fixture: str) -> Any:
        return request.getfixturevalue(fixture)

    if request.param == "three Fuseki servers":
        return [server.url for server in drawn("fusekis")]
    if request.param == "two sandbox nodes and Fuseki":
        return [*drawn("five_sandbox_nodes")[:2], drawn("fusekis")[0].url]
    return [*drawn("five_sandbox_nodes")[: 5 if request.param == "five sandbox nodes" else 3]]


@pytest.fixture(scope="module")
def world() -> World:
    """What stands on the nodes, unless a module says otherwise."""
    return FEATURES


@pytest.fixture(scope="module")
def catalogue(nodes: list[str], world: World) -> Catalogue:
    """The world on the nodes, two copies of each graph."""
    return Catalogue(nodes, world)


@pytest.fixture(scope="module")
def engine(nodes: list[str]) -> Iterator[Engine]:
    """The engine, with the bounds that it has anyway, and with no memory of other nodes."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def viewing_engine(
    catalogue: Catalogue, nodes: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One that answers from a view: over five nodes from one on disk, or else from one in memory."""
    directory = str(tmp_path_factory.mktemp("view")) if len(nodes) == 5 else ""
    with over_view(catalogue, view_directory=directory) as engine:
        yield engine
