"""A fetcher that asks a ledger and provider of the test."""

from __future__ import annotations

import pytest

from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import PARTITIONS, Ledger
from tests.helpers.odd_server import OddServer


@pytest.fixture
def ledger(environment: Environment, server: OddServer) -> Ledger:
    environment(DLT_BASE_URL=f"{server.url}/api", OFFERING_DESC_TIMEOUT="30")
    return Ledger(server)


@pytest.fixture
def driver(ledger: Ledger) -> LinkDriver:
    return LinkDriver(Fetcher(), partitions=PARTITIONS)
