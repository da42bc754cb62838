"""The settings decide who may use the gateway: by keys, by tokens, or everyone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.helpers.gateway import Serving
from topology.gateway.guarding.guard_factory import make_guard
from topology.settings import Settings

KEY = "k3y-of-the-dashboard"
ASK = "/sparql?query=ASK%7B%7D"


def guarded(engine: Engine, settings: Settings) -> Serving:
    serving = Serving(engine)
    make_guard(settings, LinkLogger("Gateway")).protect(serving.app)
    return serving


@pytest.fixture
def keys(tmp_path: Path) -> str:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"dashboard": {"key": KEY}}))
    return str(file)


def test_make_guard_with_keys_and_closed_reading_lets_in_those_alone(engine: Engine, keys: str) -> None:
    serving = guarded(engine, Settings(gateway_api_keys_file=keys, gateway_open_reading=False))

    assert serving.client.get(ASK).status_code == 401
    assert serving.client.get(ASK, headers={"X-API-Key": "another-key-altogether"}).status_code == 401
    assert serving.client.get(ASK, headers={"X-API-Key": KEY}).status_code == 200


def test_make_guard_with_a_rate_bounds_each_client(engine: Engine) -> None:
    serving = guarded(engine, Settings(gateway_rate_limit=2))

    assert [serving.client.get(ASK).status_code for _ in range(3)] == [200, 200, 429]


def test_make_guard_without_any_setting_lets_everyone_in(engine: Engine) -> None:
    serving = guarded(engine, Settings())

    assert {serving.client.get(ASK).status_code for _ in range(5)} == {200}


def test_make_guard_names_a_file_of_keys_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no-such\.json"):
        make_guard(Settings(gateway_api_keys_file=str(tmp_path / "no-such.json")), LinkLogger("Gateway"))


def test_make_guard_for_tokens_names_the_library_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topology.gateway.guarding.bearer_tokens", None)

    with pytest.raises(UsageError, match=r"catena-links\[oidc\]"):
        make_guard(
            Settings(gateway_oidc_issuer="https://issuer.example", gateway_oidc_audience="catena"),
            LinkLogger("Gateway"),
        )
