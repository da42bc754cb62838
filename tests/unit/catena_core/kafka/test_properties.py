from __future__ import annotations

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import UsageError
from catena_core.kafka.client import check_properties
from catena_core.kafka.properties import meant_by, property_names, refused


def test_property_names_hold_those_without_a_default() -> None:
    assert {"sasl.username", "session.timeout.ms", "bootstrap.servers"} <= set(property_names())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("session.timeot.ms", "session.timeout.ms"), ("sasl.usernam", "sasl.username"), ("sasl.username", None)],
)
def test_misspelt_property_means_the_close_one(name: str, meant: str | None) -> None:
    assert meant_by(name) == meant


@pytest.mark.parametrize("name", ["foo.bar", "heap.opts", "service.host", "port.9092.tcp", "log.dirs", "broker.id"])
def test_names_of_other_programs_mean_no_property(name: str) -> None:
    assert meant_by(name) is None


def test_refusal_of_a_client_names_the_property_that_was_meant() -> None:
    with pytest.raises(KafkaException) as error:
        AdminClient({"security.protocl": "SSL"})
    assert refused(error.value).endswith('"security.protocl"; did you mean security.protocol?')


def test_refusal_of_a_value_stays_as_it_is() -> None:
    with pytest.raises(UsageError, match=r'"session\.timeout\.ms"$'):
        check_properties({"session.timeout.ms": "abc"})
