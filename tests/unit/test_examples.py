"""The examples say what the code does: every setting with its default, and a list of nodes that can be read."""

from __future__ import annotations

import dataclasses
import re
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from topology import settings
from topology.membership import Member, read_catalogue_list
from topology.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE_ENV = (EXAMPLES / "example.env").read_text()

# What a setting's line looks like when it is commented out; prose begins with "# ".
_LEFT_OUT = re.compile(r"^#(?=[A-Z][A-Z0-9_]*=)", re.MULTILINE)
_LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)

_DEFAULTS = {field.name.upper(): field.metadata["default"] for field in dataclasses.fields(Settings)}
_COMPOSE_ONLY = {
    *("KAFKA_ENDPOINT", "CATENA_IMAGE", "GATEWAY_MEM_LIMIT", "KAFKA_VOTERS", "KAFKA_REPLICAS", "KAFKA_IN_SYNC"),
    *("PROMETHEUS_PORT", "GRAFANA_PORT", "DLT_BOOTH_IMAGE", "DLT_BOOTH_DB_SCHEMA"),
}
_DLT_BOOTH = {
    "DLT_RUST_LOG": "debug",
    "DLT_RUST_BACKTRACE": "1",
    "DLT_HOST_ADDRESS": "0.0.0.0",
    "DLT_HOST_PORT": "8085",
    "DLT_NODE_URL": "",
    "DLT_FAUCET_API_ENDPOINT": "",
    "DLT_RPC_PROVIDER": "",
    "DLT_CHAIN_ID": "1000",
    "DLT_ISSUER_URL": "",
    "DLT_KEY_STORAGE_STRONGHOLD_SNAPSHOT_PATH": "/data/key_storage.stronghold",
    "DLT_KEY_STORAGE_STRONGHOLD_PASSWORD": "",
    "DLT_KEY_STORAGE_MNEMONIC": "",
    "DLT_WALLET_STRONGHOLD_SNAPSHOT_PATH": "/data/wallet.stronghold",
    "DLT_WALLET_STRONGHOLD_PASSWORD": "",
    "DLT_BOOTH_DB_USER": "dlt_booth",
    "DLT_BOOTH_DB_PASSWORD": "",
}


def _values(text: str) -> dict[str, str | None]:
    return dict(dotenv_values(stream=StringIO(text)))


def test_example_shows_every_setting_and_no_other() -> None:
    shown = _values(_LEFT_OUT.sub("", EXAMPLE_ENV))

    assert set(shown) == _DEFAULTS.keys() | _DLT_BOOTH.keys() | _COMPOSE_ONLY


def test_example_shows_each_name_once() -> None:
    names = _LINE.findall(EXAMPLE_ENV)

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("name", "default"), sorted({**_DEFAULTS, **_DLT_BOOTH}.items()))
def test_example_shows_the_default(name: str, default: str) -> None:
    assert _values(_LEFT_OUT.sub("", EXAMPLE_ENV))[name] == default


def test_example_explains_each_setting_in_the_line_above() -> None:
    lines = EXAMPLE_ENV.splitlines()

    unexplained = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if _LINE.match(line) and not re.match(r"# \S.*[.;]", above)
    ]

    assert unexplained == []


def test_example_as_it_is_means_the_defaults() -> None:
    assert settings.load(environment={}, file=EXAMPLES / "example.env") == Settings()


def test_example_leaves_out_what_chooses_the_broker_the_ledger_and_the_nodes() -> None:
    """Set, even to the default, these would make `catena up` look for the operator's own."""
    choosing = {"KAFKA_ENDPOINT", "DLT_BASE_URL", "OPERATOR_PROVIDED", "CENTRALISED", "CATALOGUE_LIST", "REDIS_HOST"}

    assert not choosing & _values(EXAMPLE_ENV).keys()


def test_example_with_an_operator_s_nodes_loads() -> None:
    chosen = {"OPERATOR_PROVIDED": "1", "CATALOGUE_LIST": str(EXAMPLES / "catalogue_list.json")}

    loaded = settings.load(environment=chosen, file=EXAMPLES / "example.env")

    assert loaded.mode is settings.Mode.OPERATOR


def test_catalogue_list_names_three_nodes() -> None:
    members = read_catalogue_list((EXAMPLES / "catalogue_list.json").read_bytes(), "catalogue_list.json")

    assert members == tuple(Member(f"node_{n}", f"http://node-{n}:3030/catalogue") for n in (1, 2, 3))
