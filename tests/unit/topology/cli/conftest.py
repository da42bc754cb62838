"""A gateway that explains a query, and a folder without settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.explaining import PLAN
from tests.helpers.odd_server import OddServer, saying_json


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder without a .env, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOST_ADDRESS", "HOST_PORT", "SPARQL_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def gateway(server: OddServer) -> OddServer:
    server.answers["POST /sparql"] = saying_json(PLAN)
    return server
