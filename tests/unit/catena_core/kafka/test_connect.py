"""Waiting for a broker: patience with one that is away, none with one that refuses."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.errors import UsageError
from catena_core.kafka import connect
from catena_core.kafka.connect import wait_for_broker
from catena_core.monitoring.logs import LinkLogger

AWAY = KafkaError(KafkaError._TRANSPORT)


class Broker:
    """Fails as often as it is told to, and reports these errors meanwhile."""

    def __init__(self) -> None:
        self.fails = 0
        self.reports: list[KafkaError] = []
        self.asked = 0
        self.stop = threading.Event()
        self.stop_after = -1

    def __call__(self, settings: dict[str, Any]) -> Broker:
        self.report = settings["error_cb"]
        return self

    def list_topics(self, timeout: float) -> None:
        self.asked += 1
        if self.asked == self.stop_after:
            self.stop.set()
        if self.fails:
            self.fails -= 1
            raise KafkaException(AWAY)

    def poll(self, timeout: float) -> None:
        for error in self.reports:
            self.report(error)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(connect, "AdminClient", broker)
    return broker


def wait(broker: Broker) -> bool:
    return wait_for_broker("kafka:1", {}, LinkLogger("Sorter"), broker.stop)


def test_it_returns_when_a_broker_answers(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.fails = 3
    broker.reports = [AWAY]
    assert wait(broker)
    assert broker.asked == 4
    assert len([record for record in caplog.records if "no Kafka broker answers" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    ("code", "advice"), [(KafkaError._AUTHENTICATION, "sasl.password"), (KafkaError._SSL, "ssl.ca.location")]
)
def test_it_gives_up_at_once_where_it_is_refused(broker: Broker, code: int, advice: str) -> None:
    broker.fails = 10
    broker.reports = [KafkaError(code)]
    with pytest.raises(UsageError, match=f"refuses the connection.*{advice}"):
        wait(broker)
    assert broker.asked == 1


def test_it_ends_with_its_link(broker: Broker) -> None:
    broker.fails, broker.stop_after = 100, 2
    assert not wait(broker)
    assert broker.asked == 2


def test_properties_that_the_client_does_not_take_are_an_error_of_use() -> None:
    with pytest.raises(UsageError, match="does not take these properties"):
        wait_for_broker("kafka:1", {"no.such.property": "1"}, LinkLogger("Sorter"), threading.Event())


@pytest.mark.parametrize(
    ("properties", "advice"),
    [
        ({"oauth_cb": "x"}, "oauth_cb"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "sasl.oauthbearer.method=oidc"),
    ],
)
def test_properties_that_can_never_work_are_an_error_of_use(properties: dict[str, str], advice: str) -> None:
    with pytest.raises(UsageError, match=advice):
        wait_for_broker("kafka:1", properties, LinkLogger("Sorter"), threading.Event())


def test_properties_without_effect_are_told(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    assert wait_for_broker("kafka:1", {"ssl.ca.location": "ca.pem"}, LinkLogger("Sorter"), broker.stop)
    assert "ssl.ca.location without effect: security.protocol is plaintext" in caplog.text
