"""Health over HTTP, and the watchdog that feeds it."""

import socket
import threading

import pytest
import requests

from catena_core.errors import UsageError
from catena_core.monitoring.health import Health, HealthServer
from catena_core.monitoring.metrics import Metrics
from tests.helpers.waiting import eventually


@pytest.fixture
def health():
    return Health("Sorter", "host-1-abc", "sorters", lambda: [("orders", 3), ("orders", 1)])


@pytest.fixture
def served(health):
    metrics = Metrics()
    metrics.committed()
    server = HealthServer(0, health, metrics.registry, host="127.0.0.1")
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def test_a_link_without_problems_is_healthy_and_says_who_it_is(served):
    answer = requests.get(served + "/healthz", timeout=60)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "ready": False,
        "link": "Sorter",
        "uid": "host-1-abc",
        "group": "sorters",
        "partitions": ["orders/1", "orders/3"],
        "problems": {},
    }


def test_a_problem_makes_it_unhealthy_until_it_is_cleared(served, health):
    health.problem("progress orders/3", "stands still")
    answer = requests.get(served + "/healthz", timeout=60)
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"progress orders/3": "stands still"}
    health.clear("progress orders/3")
    health.clear("what never was")
    assert requests.get(served + "/healthz", timeout=60).status_code == 200


def test_it_is_ready_once_it_says_so_and_while_it_is_well(served, health):
    assert requests.get(served + "/readyz", timeout=60).status_code == 503
    health.ready = True
    assert requests.get(served + "/readyz", timeout=60).status_code == 200
    health.problem("consumer", "stuck")
    assert requests.get(served + "/readyz", timeout=60).status_code == 503


def test_metrics_come_in_the_format_that_is_asked_for(served):
    plain = requests.get(served + "/metrics", timeout=60)
    assert plain.headers["Content-Type"].startswith("text/plain")
    assert "\ncatena_commits_total 1.0\n" in plain.text
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    open_metrics = requests.get(served + "/metrics", headers=wanted, timeout=60)
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/../etc/passwd", "/..%2f..%2fetc/passwd", "/healthzz"])
def test_nothing_else_is_served(served, path):
    session = requests.Session()
    prepared = session.prepare_request(requests.Request("GET", served))
    prepared.url = served + path  # as it is, without the client tidying it up
    assert session.send(prepared, timeout=60).status_code == 404


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_nothing_can_be_changed(served, path):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert requests.request(method, served + path, timeout=60).status_code == 405


def test_large_requests_are_refused(served):
    assert requests.post(served + "/healthz", data=b"x" * 10_000, timeout=60).status_code == 413
    assert requests.get(served + "/healthz", headers={"X-Long": "x" * 20_000}, timeout=60).status_code == 431


def test_connections_that_say_nothing_do_not_keep_a_probe_out(served):
    host, port = served.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(8)]
    try:
        assert requests.get(served + "/healthz", timeout=60).status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_a_port_that_is_taken_says_what_to_do(health):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} .*--metrics-port"):
            HealthServer(port, health, Metrics().registry, host="127.0.0.1")


def test_a_closed_server_gives_its_port_and_its_threads_back(health):
    before = threading.active_count()
    server = HealthServer(0, health, Metrics().registry, host="127.0.0.1")
    assert requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=60).ok
    server.close()
    server.close()
    HealthServer(server.port, health, Metrics().registry, host="127.0.0.1").close()
    eventually(lambda: threading.active_count() <= before)
