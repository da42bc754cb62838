"""Servers for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.odd_server import OddServer, odd_server
from tests.helpers.sandbox_servers import Sandbox, running_booth, running_node


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture(scope="session")
def _shared_node() -> Iterator[Sandbox]:
    with running_node() as node:
        yield node


@pytest.fixture
def node(_shared_node: Sandbox) -> Sandbox:
    """Give a catalogue node of the sandbox, empty and well."""
    _shared_node.faults()
    _shared_node.ask("PUT", "/catalogue/data", b"", "application/n-quads")
    return _shared_node


@pytest.fixture(scope="session")
def booth() -> Iterator[Sandbox]:
    """Give a booth of the sandbox that lists three offerings."""
    with running_booth(3) as booth:
        yield booth
