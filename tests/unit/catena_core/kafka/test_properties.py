from __future__ import annotations

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import UsageError
from catena_core.kafka.client import check_properties
from catena_core.kafka.properties import lacks_token, meant_by, property_names, refused, without_effect


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


def test_refusal_of_the_default_mechanism_names_the_property() -> None:
    with pytest.raises(UsageError, match=r"-X sasl\.mechanism=SCRAM"):
        check_properties({"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"})


OAUTH = {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("properties", "lacks"),
    [
        (OAUTH, True),
        ({"security.protocol": "SASL_SSL", "sasl.mechanisms": "oauthbearer"}, True),
        ({**OAUTH, "sasl.oauthbearer.method": "OIDC"}, False),
        ({**OAUTH, "enable.sasl.oauthbearer.unsecure.jwt": "true"}, False),
        ({**OAUTH, "oauth_cb": print}, False),
        ({**OAUTH, "sasl.mechanism": "PLAIN"}, False),
        ({"sasl.mechanism": "OAUTHBEARER"}, False),
    ],
)
def test_a_client_of_oauth_without_a_source_of_tokens(properties: dict[str, object], lacks: bool) -> None:
    assert lacks_token(properties) is lacks


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ({"sasl.username": "ada", "ssl.ca.location": "ca.pem", "linger.ms": "5"}, ["sasl.username", "ssl.ca.location"]),
        ({"security.protocol": "SSL", "sasl.username": "ada", "ssl.ca.location": "ca.pem"}, ["sasl.username"]),
        ({"security.protocol": "sasl_plaintext", "sasl.username": "ada", "ssl.ca.location": "ca"}, ["ssl.ca.location"]),
        ({"security.protocol": "SASL_SSL", "sasl.username": "ada", "ssl.ca.location": "ca.pem"}, []),
    ],
)
def test_properties_that_the_protocol_disregards(properties: dict[str, object], names: list[str]) -> None:
    assert without_effect(properties) == names
