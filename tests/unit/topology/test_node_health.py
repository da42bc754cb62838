"""Health of a node: what its checks find, how it is written to, and what is logged of changes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.membership import Member
from topology.node_health import NodeHealth


def health_of(url: str, protocol: Any = None) -> NodeHealth:
    return NodeHealth(Member("a", url), WebClient(5), LinkLogger("test"), protocol)


@pytest.fixture
def well(server: OddServer) -> OddServer:
    server.answers["/health"] = saying()
    server.answers["/graphs"] = saying_json({"offerings": []})
    server.answers["/sparql"] = saying_json({"boolean": True})
    return server


def test_check_of_a_healthy_node_notes_its_answer(well: OddServer) -> None:
    health = health_of(well.url)
    before = time.monotonic()
    assert health.is_healthy is None

    health.check()

    assert health.is_healthy is True
    assert health.last_answer >= before
    assert [one.path.partition("?")[0] for one in well.asked] == ["/health", "/sparql"]


def test_check_of_a_closed_port_finds_it_unhealthy() -> None:
    health = health_of(f"http://127.0.0.1:{closed_port()}")
    made = health.last_answer

    health.check()

    assert (health.is_healthy, health.last_answer) == (False, made)


def test_check_of_a_node_that_breaks_the_client_finds_it_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_client: NodeClient) -> bool:
        raise RuntimeError("no such thing was foreseen")

    monkeypatch.setattr(NodeClient, "says_healthy", explode)
    health = health_of("http://127.0.0.1:1")

    health.check()

    assert health.is_healthy is False


def test_check_detects_the_protocol_once(well: OddServer) -> None:
    health = health_of(well.url, "auto")

    health.check()
    health.check()

    assert health.protocol == "sedimark"
    assert [one.path.partition("?")[0] for one in well.asked if one.method == "GET"] == [
        "/health",
        "/sparql",
        "/graphs",
        "/health",
        "/sparql",
    ]


def test_check_keeps_a_protocol_that_is_given(well: OddServer) -> None:
    well.answers["/data"] = saying(b"", 200, Content_Type="application/n-triples")
    health = health_of(well.url, "graph-store")

    health.check()

    assert health.protocol == "graph-store"


def test_check_logs_changes_alone(well: OddServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    health = health_of(well.url)
    for status in (200, 200, 500, 500, 200):
        well.answers["/health"] = saying(status=status)
        health.check()

    assert [message.partition("a ")[2] for message in caplog.messages] == [
        "does not answer: it says that it is not well",
        "answers again",
    ]


def test_check_of_an_abandoned_node_changes_nothing(well: OddServer, caplog: pytest.LogCaptureFixture) -> None:
    health = health_of(well.url)
    well.answers["/health"] = saying(status=500)
    health.is_abandoned = True

    health.check()

    assert health.is_healthy is None
    assert caplog.messages == []


def test_check_of_a_node_without_known_paths_says_which_were_asked(
    server: OddServer, caplog: pytest.LogCaptureFixture
) -> None:
    health = health_of(server.url, "auto")

    health.check()
    health.check()

    assert health.is_healthy is False
    assert f"{server.url}/sparql (status 404), {server.url}/query (status 404)" in health.problem
    assert len(caplog.messages) == 1
    assert "a cannot be used: none of these paths takes SPARQL queries" in caplog.messages[0]


@pytest.mark.parametrize("status", [401, 403])
def test_check_of_a_node_that_lets_no_one_in_says_so(well: OddServer, status: int) -> None:
    for path in ("/health", "/sparql", "/query", "/"):
        well.answers[path] = saying(b"", status)
    health = health_of(well.url)

    health.check()

    assert health.is_healthy is False
    assert f"/sparql (status {status})" in health.problem


def test_check_looks_again_for_the_endpoints_of_a_node_that_was_silent(well: OddServer) -> None:
    health = health_of(well.url, "auto")
    health.check()
    assert health.endpoints.sparql == f"{well.url}/sparql"

    well.answers["/health"] = saying(status=503)
    health.check()
    well.answers |= {"/health": saying(status=404), "/sparql": saying(status=404), "/query": well.answers["/sparql"]}
    health.check()

    assert health.is_healthy is True
    assert health.endpoints.sparql == f"{well.url}/query"
