"""Faults on demand, on both servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Timer

import pytest
import requests

from tests.unit.sandbox.conftest import Server, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spoilt_booth() -> Iterator[Server]:
    with started("booth", "--count", "1") as server:
        yield server


@pytest.fixture
def ill_booth(spoilt_booth: Server) -> Iterator[Server]:
    yield spoilt_booth
    assert spoilt_booth.put("/faults", json={}).status_code == 200


def test_the_faults_can_be_seen(ill_booth: Server) -> None:
    healthy = {"delay": 0.0, "error_rate": 0.0, "status": 503, "hang": False, "paths": ["/"], "methods": []}
    assert ill_booth.get("/faults").json() == healthy
    assert ill_booth.put("/faults", json={"delay": 0.5}).json() == {**healthy, "delay": 0.5}
    assert ill_booth.get("/faults").json() == {**healthy, "delay": 0.5}


def test_errors_come_at_the_rate_and_with_the_status_asked_for(ill_booth: Server) -> None:
    ill_booth.put("/faults", json={"error_rate": 1, "status": 500})
    answer = ill_booth.get("offerings")
    assert (answer.status_code, answer.json()["status"]) == (500, "error")
    ill_booth.put("/faults", json={"error_rate": 0.3})
    statuses = [ill_booth.get("offerings").status_code for _ in range(300)]
    assert set(statuses) == {200, 503}
    assert 50 < statuses.count(503) < 130


def test_a_status_below_400_pretends_success_for_the_methods_asked_for(ill_booth: Server) -> None:
    address = ill_booth.get("offerings").json()["addresses"][0]
    ill_booth.put("/faults", json={"error_rate": 1, "status": 200, "paths": ["/"], "methods": ["PUT"]})
    assert ill_booth.get(f"/descriptions/{address}").status_code == 200


def test_requests_wait_for_the_delay_asked_for(ill_booth: Server) -> None:
    address = ill_booth.get("offerings").json()["addresses"][0]
    ill_booth.put("/faults", json={"delay": 0.3})
    for path in ("offerings", f"offerings/{address}", f"/descriptions/{address}"):
        begun = time.monotonic()
        assert ill_booth.get(path).status_code == 200
        assert time.monotonic() - begun >= 0.3


def test_a_booth_fails_at_following_it_and_not_at_changing_it(ill_booth: Server) -> None:
    ill_booth.put("/faults", json={"error_rate": 1})
    assert ill_booth.get("/health").status_code == 200
    assert ill_booth.get("/profile").status_code == 200
    assert ill_booth.delete("/descriptions/0xunknown").status_code == 404


def test_faults_may_be_confined_to_paths(ill_booth: Server) -> None:
    ill_booth.put("/faults", json={"error_rate": 1, "paths": ["/descriptions/"]})
    assert ill_booth.get("offerings").status_code == 200
    assert ill_booth.get("/descriptions/0x").status_code == 503


def test_a_hung_node_answers_nothing_until_it_is_told_to(node: Server) -> None:
    node.put("/faults", json={"hang": True})
    for path in ("health", "graphs", "sparql?query=ASK%7B%7D"):
        with pytest.raises(requests.ReadTimeout):
            node.get(path, timeout=0.3)
    recovery = Timer(0.3, lambda: requests.put(f"{node.origin}/faults", json={}, timeout=120))
    begun = time.monotonic()
    recovery.start()
    assert node.get("health").status_code == 200
    assert time.monotonic() - begun >= 0.2
    recovery.join()


def test_a_node_may_hang_at_writes_alone(node: Server) -> None:
    node.put("/faults", json={"hang": True, "paths": ["/catalogue/manager"]})
    assert node.get("health").status_code == 200
    with pytest.raises(requests.ReadTimeout):
        node.put("manager", data=b"{}", timeout=0.3)


@pytest.mark.parametrize(
    "faults", [b"{", b'{"error_rate": 2}', b'{"delay": -1}', b'{"status": 199}', b'{"slow": true}', b'{"paths": "/"}']
)
def test_what_is_no_fault_is_refused(ill_booth: Server, faults: bytes) -> None:
    answer = ill_booth.put("/faults", data=faults)
    assert (answer.status_code, answer.json()["message"].split(":")[0]) == (400, "Not faults")
