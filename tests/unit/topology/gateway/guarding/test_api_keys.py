"""Keys of clients: read from a file, read again when it changes, shown nowhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import redacted
from tests.helpers.waiting import eventually
from topology.gateway.guarding import api_keys
from topology.gateway.guarding.api_keys import ApiKeys, read_api_keys
from topology.gateway.guarding.clients import Client

KEY, OTHER = "k3y-of-the-dashboard", "k3y-of-the-operator"
DIGEST = hashlib.sha256(OTHER.encode()).hexdigest()


def read(entries: Any) -> set[Client]:
    return set(read_api_keys(json.dumps(entries).encode(), "keys.json").values())


def test_read_api_keys_knows_keys_and_digests_of_keys() -> None:
    entries = {"dashboard": {"key": KEY}, "operator": {"sha256": DIGEST.upper(), "admin": True}}

    assert read(entries) == {Client("dashboard", False), Client("operator", True)}
    assert KEY not in redacted(f"the key {KEY}")


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], "should be like"),
        ({"a": {"key": "short"}}, "length >= 16"),
        ({"a": {}}, "either key or sha256"),
        ({"a": {"key": KEY, "sha256": DIGEST}}, "either key or sha256"),
        ({"a": {"sha256": "0" * 63}}, "regex"),
        ({"a": {"key": KEY, "role": "admin"}}, "unknown field"),
        ({"a": {"key": f"{KEY}\n"}}, "no header can carry the key of 'a'"),
        ({"a": {"key": f" {KEY}"}}, "no header can carry the key of 'a'"),
        ({"a": {"key": f"{KEY}ü"}}, "no header can carry the key of 'a'"),
        ({"a": {"sha256": DIGEST}, "b": {"key": OTHER}}, "'b' has the key of 'a'"),
    ],
)
def test_read_api_keys_says_what_is_wrong_and_shows_no_key(entries: Any, told: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read(entries)

    assert told in str(refusal.value)
    assert KEY not in str(refusal.value)
    assert OTHER not in str(refusal.value)


def test_api_keys_file_without_clients_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{}")

    assert ApiKeys(str(file), LinkLogger("Gateway")).known_by(KEY) is None
    assert "names no client, so no key opens anything" in caplog.text


def test_api_keys_changed_file_is_read_again_and_a_broken_one_leaves_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api_keys, "_LOOK_EVERY", 0.0)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"dashboard": {"key": KEY}}))
    keys = ApiKeys(str(file), LinkLogger("Gateway"))

    assert keys.known_by(KEY) == Client("dashboard", False)
    assert keys.known_by(KEY[:-1]) is None
    assert keys.known_by("\udcff") is None
    assert "chmod 600" in caplog.text

    file.write_text("{")
    assert keys.known_by(KEY) == Client("dashboard", False)
    assert keys.known_by(KEY) == Client("dashboard", False)
    assert caplog.text.count("the keys stay as they were") == 1

    file.write_text(json.dumps({"another": {"key": OTHER}}))
    eventually(lambda: keys.known_by(OTHER) == Client("another", False))
    assert keys.known_by(KEY) is None


def test_read_api_keys_mistake_is_named_with_line_and_column() -> None:
    with pytest.raises(UsageError, match="line 1, column 2: names and texts stand in double quotes"):
        api_keys.read_api_keys(b"{'a': {}}", "file")


def test_api_keys_without_a_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        ApiKeys(str(tmp_path / "nowhere.json"), LinkLogger("Gateway"))
