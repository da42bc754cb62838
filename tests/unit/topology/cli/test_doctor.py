"""``catena doctor``: the findings of each part, and the status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from catena_core.embedded import EmbeddedBroker
from tests.helpers.odd_server import OddServer, closed_port, saying_json
from tests.helpers.sandbox_servers import running_booth, running_node
from topology import topics
from topology.cli.main import main

Finding = dict[str, str]
Findings = dict[str, list[Finding]]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Findings]]:
    """Give a function that runs the doctor with these settings alone; its status, and the findings by part."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> tuple[int, Findings]:
        defaults = {"REDIS_HOST": "", "HOST_PORT": str(closed_port()), "NODE_TIMEOUT": "5"}
        result = CliRunner().invoke(main, ["doctor", "--json", *arguments], env={**defaults, **variables})
        found: Findings = {}
        for line in result.stdout.splitlines():
            finding = json.loads(line)
            found.setdefault(finding["part"], []).append(finding)
        return result.exit_code, found

    return run


def nodes(folder: Path, **urls: str) -> dict[str, str]:
    """Return the settings that name nodes."""
    (folder / "nodes.json").write_text(
        json.dumps({name: {"id": name, "catalogue_url": url} for name, url in urls.items()})
    )
    return {"OPERATOR_PROVIDED": "1", "CATALOGUE_LIST": "nodes.json"}


def test_doctor_all_well_status_is_0(find: Any, tmp_path: Path) -> None:
    with EmbeddedBroker(topics.SPECS) as broker, running_booth(3) as booth, running_node() as a, running_node() as b:
        status, found = find("-k", broker.endpoint, DLT_BASE_URL=booth.url, **nodes(tmp_path, a=a.url, b=b.url))

    assert status == 0
    assert {part: [one["state"] for one in findings] for part, findings in found.items()} == {
        "Kafka": ["ok"],
        "settings": ["ok"],
        "Redis": ["ok"],
        "DLT-Booth": ["ok"],
        "provider": ["ok"],
        "a": ["ok"],
        "b": ["ok"],
        "gateway": ["warning"],
    }
    assert found["DLT-Booth"][0]["said"] == "lists 3 offerings"


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ({"status": "healthy", "epoch": 1, "nodes": {"a": "up"}}, "ok", "healthy at http://127.0.0.1"),
        (
            {"status": "healthy", "epoch": 1, "copies_refused": 1, "refusing": {"b": "it does not take 1 graphs"}},
            "ok",
            "b refuses copies: it does not take 1 graphs",
        ),
        (
            {"status": "degraded", "epoch": 1, "nodes": {"a": "up", "b": "down"}, "copies_missing": 1200},
            "warning",
            "b is down; 1,200 copies are missing",
        ),
        ({"status": "degraded", "epoch": 1, "failing": {"writer": "died"}}, "warning", "writer died"),
        (
            {"status": "degraded", "epoch": 1, "nodes": {"a": "up"}, "uninspected": {"a": "status 403"}},
            "warning",
            "a cannot be inspected: status 403",
        ),
        (
            {"status": "degraded", "epoch": 1, "nodes": {"a": "up", "b": "down"}, "unusable": {"b": "it is a"}},
            "warning",
            "b cannot be used: it is a",
        ),
        (
            {
                "status": "degraded",
                "epoch": 1,
                "copies_refused": 2,
                "refusing": {"b": "it does not take 2 graphs: status 413"},
            },
            "warning",
            "b refuses copies: it does not take 2 graphs: status 413",
        ),
        ({"status": "degraded", "epoch": 0, "nodes": {}}, "warning", "there are no nodes"),
        (["another"], "warning", "is another server"),
    ],
)
def test_doctor_says_how_the_gateway_is(find: Any, server: OddServer, answer: Any, state: str, said: str) -> None:
    server.answers["/health"] = saying_json(answer)
    port = server.url.rpartition(":")[2]

    _, found = find(HOST_ADDRESS="127.0.0.1", HOST_PORT=port, DLT_BASE_URL=server.url)

    (finding,) = found["gateway"]
    assert (finding["state"], said in finding["said"]) == (state, True), finding


def test_doctor_names_each_wrong_setting_by_itself(find: Any) -> None:
    _, found = find(HOST_PORT="none", NODE_TIMEOUT="none")

    assert [one["said"].partition("=")[0] for one in found["settings"]] == ["NODE_TIMEOUT", "HOST_PORT"]


def test_doctor_nothing_answers_each_part_says_what_to_do(find: Any, tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{closed_port()}"
    status, found = find(
        "-k",
        nowhere,
        DLT_BASE_URL=f"http://{nowhere}/api",
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=nowhere.rpartition(":")[2],
        **nodes(tmp_path, a=f"http://{nowhere}"),
    )

    assert status == 1
    assert [found[part][0]["state"] for part in ("Kafka", "Redis", "DLT-Booth", "a")] == [
        "failed",
        "warning",
        "failed",
        "failed",
    ]
    assert "cannot hold 2 copies" in found["nodes"][0]["said"]
    assert all(found[part][0]["advice"] for part in ("Kafka", "Redis", "DLT-Booth", "a", "nodes"))


def test_doctor_tells_of_a_broker_that_names_an_address_which_leads_nowhere(
    find: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = AdminClient.list_topics

    def misled(client: AdminClient, *arguments: Any, **more: Any) -> Any:
        cluster = ask(client, *arguments, **more)
        for broker in cluster.brokers.values():
            broker.host = "kafka.invalid"
        return cluster

    monkeypatch.setattr(AdminClient, "list_topics", misled)
    with EmbeddedBroker(topics.SPECS) as broker:
        status, found = find("-k", broker.endpoint)

    assert (status, found["Kafka"][-1]["state"]) == (1, "failed")
    assert "the broker tells clients to ask kafka.invalid:" in found["Kafka"][-1]["said"]
    assert "advertised.listeners" in found["Kafka"][-1]["advice"]


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ({}, "failed", "its configuration has no issuer"),
        ({"issuer": "https://other.example", "jwks_uri": "x"}, "failed", "names another issuer: https://other.example"),
        (None, "failed", "status 404"),
    ],
)
def test_doctor_asks_the_issuer_for_its_keys(find: Any, server: OddServer, answer: Any, state: str, said: str) -> None:
    if answer is not None:
        server.answers["GET /.well-known/openid-configuration"] = saying_json(answer)
    status, found = find(GATEWAY_OIDC_ISSUER=server.url, GATEWAY_OIDC_AUDIENCE="catena")

    assert (status, found["OIDC issuer"][0]["state"]) == (1, state)
    assert f"GATEWAY_OIDC_ISSUER={server.url} cannot be had" in found["OIDC issuer"][0]["said"]
    assert said in found["OIDC issuer"][0]["said"]


def test_doctor_nothing_is_set_warns_and_fails_nothing(find: Any) -> None:
    status, found = find()

    assert status == 0
    assert [found[part][0]["state"] for part in ("Kafka", "DLT-Booth", "nodes")] == ["warning", "warning", "ok"]
    assert "catena up" in found["DLT-Booth"][0]["advice"]


def test_doctor_wrong_settings_and_env_file_are_named(find: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NODE_TIMEOUTS=3\nHOST_PORT=none\n")
    status, found = find(HOST_PORT="none")

    assert status == 1
    assert "did you mean NODE_TIMEOUT?" in found[".env"][0]["said"]
    assert 'HOST_PORT="none"' in found["settings"][0]["said"]


def test_doctor_broken_list_is_named(find: Any, tmp_path: Path) -> None:
    (tmp_path / "nodes.json").write_text("[")
    with running_booth() as booth:
        status, found = find(DLT_BASE_URL=booth.url, OPERATOR_PROVIDED="1", CATALOGUE_LIST="nodes.json")

    assert status == 1
    assert "nodes.json" in found["nodes"][0]["said"]


def test_doctor_provider_that_fails_is_a_warning(find: Any) -> None:
    with running_booth(1) as booth:
        booth.faults(error_rate=1, paths=["/descriptions"])
        _status, found = find(DLT_BASE_URL=booth.url)

    assert found["provider"][0]["state"] == "warning"


def test_doctor_unknown_kafka_property_is_an_error(find: Any) -> None:
    status, found = find("-X", "nonsense")

    assert (status, found) == (1, {})
