"""A client that gives no statistics has locked itself up."""

from __future__ import annotations

import re
import threading
import time

import pytest
from confluent_kafka import Consumer

from catena_core.embedded import EmbeddedBroker
from catena_core.errors import ReadingError
from catena_core.kafka.statistics import StatisticsWatch
from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table
from tests.servers.process import free_port


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _poll(watch: StatisticsWatch, clock: Clock, seconds: int, message: object = None) -> None:
    for _ in range(seconds):
        clock.now += 1
        watch.polled(message)


def test_polls_without_message_and_statistics_end_in_an_error() -> None:
    clock = Clock()
    watch = StatisticsWatch({}, clock)
    _poll(watch, clock, 90)
    with pytest.raises(ReadingError, match=r"locked itself up: .* no sign of life for 91 s"):
        _poll(watch, clock, 1)


def test_statistics_and_messages_are_signs_of_life() -> None:
    clock = Clock()
    watch = StatisticsWatch({}, clock)
    for _ in range(10):
        _poll(watch, clock, 60)
        watch.properties["stats_cb"]("{}")
        _poll(watch, clock, 60)
        _poll(watch, clock, 1, message="m")


def test_time_in_which_the_process_was_frozen_does_not_count() -> None:
    clock = Clock()
    watch = StatisticsWatch({}, clock)
    for _ in range(80):
        clock.now += 3600
        watch.polled(None)


def test_an_error_of_the_client_casts_doubt_on_it_until_its_next_statistics() -> None:
    watch = StatisticsWatch({})
    assert not watch.is_doubted
    watch.doubt()
    assert watch.is_doubted
    watch.properties["stats_cb"]("{}")
    assert not watch.is_doubted


@pytest.mark.parametrize("settings", [{"statistics.interval.ms": "0"}, {"stats_cb": print}])
def test_who_has_statistics_of_its_own_or_none_is_not_watched(settings: dict[str, object]) -> None:
    clock = Clock()
    watch = StatisticsWatch(settings, clock)
    _poll(watch, clock, 1000)
    watch.doubt()
    assert watch.properties == {}
    assert not watch.is_doubted


def test_a_client_gives_statistics_though_no_broker_is_there() -> None:
    heard = threading.Event()

    class Heard(StatisticsWatch):
        def _hear(self, statistics: str) -> None:
            super()._hear(statistics)
            heard.set()

    settings = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "group.id": "g", "log_level": 0}
    watch = Heard({**settings, "statistics.interval.ms": 50})
    consumer = Consumer({**settings, **watch.properties})
    consumer.subscribe(["in"])
    until = time.monotonic() + 120
    while not heard.is_set() and time.monotonic() < until:
        consumer.poll(0.1)
    consumer.close()
    assert heard.is_set()


def test_a_table_whose_client_has_locked_itself_up_ends_its_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StatisticsWatch, "_hear", lambda _self, _statistics: None)
    failures: list[BaseException] = []
    failed = threading.Event()

    def fail(error: BaseException) -> None:
        failures.append(error)
        failed.set()

    with EmbeddedBroker() as broker:
        broker.create_topic("rows", 1)
        properties = {"statistics.interval.ms": "100"}
        table = Table(broker.endpoint, "rows", LinkLogger("test"), properties=properties, fail=fail)
        assert failed.wait(120)
        table.close()
    assert re.search(
        "the table of rows cannot be read any more: .*Kafka's client has locked itself up", str(failures[0])
    )
