"""A fetcher that asks a ledger and provider of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment, own_environment
from tests.helpers.fetcher import PARTITIONS, Ledger
from tests.helpers.odd_server import OddServer


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    return own_environment(monkeypatch, tmp_path)


@pytest.fixture
def ledger(environment: Environment, server: OddServer) -> Ledger:
    environment(DLT_BASE_URL=f"{server.url}/api", OFFERING_DESC_TIMEOUT="30")
    return Ledger(server)


@pytest.fixture
def driver(ledger: Ledger) -> LinkDriver:
    return LinkDriver(Fetcher(), partitions=PARTITIONS)
