"""The properties of Kafka's clients: which of a user's win, and which the link keeps."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from catena_core.kafka.client import client_properties, consumer_properties
from catena_core.monitoring.logs import LinkLogger

LOGGER = LinkLogger("Sorter")


def consumer(replay: bool = False, instance_id: str | None = None, **properties: str) -> dict[str, object]:
    given = {name.replace("_", "."): value for name, value in properties.items()}
    return consumer_properties("kafka:1", "sorters", instance_id, replay, LOGGER, given)


def test_a_users_properties_win() -> None:
    assert consumer(session_timeout_ms="1500")["session.timeout.ms"] == "1500"
    assert client_properties("kafka:1", LOGGER, {"log_level": "7"})["log_level"] == "7"


def test_offsets_stay_the_links_own_affair() -> None:
    settings = consumer(enable_auto_commit="true", enable_auto_offset_store="true", group_id="another")
    assert (settings["enable.auto.commit"], settings["enable.auto.offset.store"]) == (False, False)
    assert settings["group.id"] == "sorters"


def test_a_replaying_link_is_told_of_ends_and_shares_partitions_by_range() -> None:
    assert consumer(replay=True)["enable.partition.eof"] is True
    assert consumer(replay=True)["partition.assignment.strategy"] == "range"
    assert consumer()["partition.assignment.strategy"] == "cooperative-sticky"


def test_only_a_static_member_has_an_instance_id() -> None:
    assert consumer(instance_id="one")["group.instance.id"] == "one"
    assert "group.instance.id" not in consumer()


@pytest.mark.parametrize(("replay", "assignor"), [(False, "uniform"), (True, "range")])
def test_the_brokers_decide_about_sessions_with_kip_848(replay: bool, assignor: str) -> None:
    settings = consumer(replay=replay, group_protocol="consumer", session_timeout_ms="1500")
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & settings.keys()
    assert settings["group.remote.assignor"] == assignor


def test_each_kind_of_error_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    report = client_properties("kafka:1", LOGGER)["error_cb"]
    for _ in range(3):
        report(KafkaError(KafkaError._TRANSPORT))
        report(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
