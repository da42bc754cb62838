"""What every link's test needs: settings of its own, and servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from links import writer as writer_module
from links.writer import Writer
from tests.helpers.environment import Environment, own_environment
from tests.helpers.odd_server import OddServer, odd_server
from tests.helpers.sandbox_servers import Sandbox, running_booth, running_node
from topology import comparison


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """No setting but those that the test makes; no Redis."""
    return own_environment(monkeypatch, tmp_path)


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture(scope="session")
def _shared_nodes() -> Iterator[tuple[Sandbox, Sandbox]]:
    with running_node() as one, running_node() as two:
        yield one, two


@pytest.fixture
def nodes(_shared_nodes: tuple[Sandbox, Sandbox]) -> tuple[Sandbox, Sandbox]:
    """Two catalogue nodes of the sandbox, empty and well."""
    for node in _shared_nodes:
        node.faults()
        node.ask("PUT", "/catalogue/data", b"", "application/n-quads")
    return _shared_nodes


@pytest.fixture
def node(nodes: tuple[Sandbox, Sandbox]) -> Sandbox:
    """One of them."""
    return nodes[0]


@pytest.fixture
def booth() -> Iterator[Sandbox]:
    """Give a booth of the sandbox that lists three offerings."""
    with running_booth(3) as booth:
        yield booth


@pytest.fixture
def quick_writer(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    """Writers wait hardly at all, and do nothing by themselves."""
    environment(NODE_TIMEOUT="2")
    monkeypatch.setattr(Writer, "loop", lambda *_, **__: None)
    monkeypatch.setattr(writer_module, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(writer_module, "_LONGEST_WAIT", 0.02)
    monkeypatch.setattr(comparison, "_SECOND_LOOK", 0.01)
