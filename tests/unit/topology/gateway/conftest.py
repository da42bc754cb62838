"""Two nodes and an engine for the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.engine import Engine
from tests.helpers.sandbox_servers import Sandbox, running_node


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
    engine = Engine(timeout=300, source_timeout=3, workers=1)
    yield engine
    engine.close()
