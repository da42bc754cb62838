"""A link's monitoring: the port that serves it, the consumer that it watches, and its end."""

import json
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.monitoring import Monitoring
from catena_core.options import LinkOptions


@pytest.fixture
def make():
    made = []

    def make(**options):
        given = LinkOptions(kafka_endpoint="kafka:9092", **options)
        made.append(Monitoring("Sorter", "uid-1", "sorters", given, LinkLogger("Sorter"), CollectorRegistry()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def get(monitoring, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{monitoring.port}{path}", timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_without_a_port_nothing_is_served(make):
    assert make().port is None


def test_port_serves_the_health_and_the_metrics_of_its_own_registry(make):
    monitoring = make(metrics_port=0, host="127.0.0.1")
    monitoring.metrics.consumed("orders", 3, 7)

    status, body = get(monitoring, "/healthz")
    assert json.loads(body)["link"] == "Sorter"
    assert status in (200, 503)
    lines = [line for line in get(monitoring, "/metrics")[1].splitlines() if b"orders" in line]
    assert lines[0].startswith(b"catena_consumed_total{") and lines[0].endswith(b" 7.0")
    assert b"orders" not in get(make(metrics_port=0, host="127.0.0.1"), "/metrics")[1]


def test_taken_port_is_named(make):
    taken = make(metrics_port=0, host="127.0.0.1").port

    with pytest.raises(UsageError, match=str(taken)):
        make(metrics_port=taken, host="127.0.0.1")


def test_closed_monitoring_serves_nothing_more_and_is_not_ready(make):
    monitoring = make(metrics_port=0, host="127.0.0.1")
    monitoring.health.ready = True
    monitoring.close()

    assert not monitoring.health.ready
    with pytest.raises(OSError):
        get(monitoring, "/healthz")
