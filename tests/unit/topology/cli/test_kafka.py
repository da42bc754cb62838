"""Kafka on the command line: its address from options, the environment or `.env`, and its errors in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.embedded import EmbeddedBroker
from catena_core.errors import CatenaError
from tests.helpers.kafka_clients import ProducerClient
from tests.servers.process import free_port
from topology.cli import kafka
from topology.cli.kafka import Connection, Sender, connection, kafka_errors


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[ProducerClient]:
    """Give the clients that senders make."""
    made: list[ProducerClient] = []

    def make(settings: dict[str, Any]) -> ProducerClient:
        made.append(ProducerClient(settings))
        return made[-1]

    monkeypatch.setattr(kafka, "Producer", make)
    return made


@pytest.fixture
def sender(producers: list[ProducerClient]) -> Sender:
    return Sender(Connection("localhost:1", {"client.id": "mine"}))


class TestConnection:
    def test_option_wins_over_the_settings(self, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)
        (own_folder / ".env").write_text("KAFKA_ENDPOINT=settings:9092")

        assert connection("option:9092", ()).endpoint == "option:9092"
        assert connection(None, ()).endpoint == "settings:9092"

    def test_property_of_the_command_line_wins_over_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")

        assert connection("k:9092", ()).properties["security.protocol"] == "SSL"
        assert connection("k:9092", ("security.protocol=plaintext",)).properties["security.protocol"] == "plaintext"

    def test_properties_in_the_file_count_unless_the_environment_has_them(
        self, own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (own_folder / ".env").write_text("KAFKA_SECURITY_PROTOCOL=SSL\nKAFKA_CLIENT_ID=mine\nKAFKA_SASL_PASWORD=x\n")
        monkeypatch.setenv("KAFKA_CLIENT_ID", "theirs")

        assert connection("k:9092", ()).properties == {"security.protocol": "SSL", "client.id": "theirs"}
        assert "KAFKA_SASL_PASWORD sets nothing; did you mean KAFKA_SASL_PASSWORD?" in capsys.readouterr().err

    def test_without_an_address_it_says_where_to_name_one(
        self, own_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)

        with pytest.raises(click.UsageError, match="-k HOST:PORT or KAFKA_ENDPOINT"):
            connection(None, ())

    def test_no_broker_is_told_once_with_the_address_and_the_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        there = Connection(f"127.0.0.1:{free_port()}", {"socket.connection.setup.timeout.ms": "1000"})
        consumer = there.consumer()
        try:
            with pytest.raises(
                CatenaError, match=rf"no Kafka broker answers at {there.endpoint} \(.*Connection refused\)"
            ):
                there.metadata(consumer)
        finally:
            consumer.close()
        assert caplog.messages == []

    def test_trouble_after_an_answer_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with EmbeddedBroker() as broker:
            there = Connection(broker.endpoint, {"socket.connection.setup.timeout.ms": "1000"})
            admin = AdminClient(there.client())
            there.metadata(admin)
        while not caplog.messages:
            admin.poll(1)

        assert caplog.messages[0].startswith("Kafka: ")


class TestErrors:
    def test_refusal_of_kafka_is_a_message_of_one_line(self) -> None:
        with pytest.raises(click.ClickException, match=r"^Kafka refuses it: [^\n\x1b]*$"), kafka_errors():
            raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no\x1b[2J"))

    def test_error_of_the_library_keeps_its_words(self) -> None:
        with pytest.raises(click.ClickException, match="there is no topic x"), kafka_errors():
            raise CatenaError("there is no topic x")


class TestSender:
    def test_messages_are_sent_in_order_once_each(self, sender: Sender, producers: list[ProducerClient]) -> None:
        (client,) = producers
        client.room = 1
        for number in range(3):
            sender.send("t", str(number).encode(), "k", partition=2)
        sender.flush()

        assert client.taken == [b"0", b"1", b"2"]
        assert {where["partition"] for where in client.placed} == {2}
        assert (client.settings["enable.idempotence"], client.settings["client.id"]) == (True, "mine")

    def test_broker_that_does_not_answer_is_an_error(self, sender: Sender, producers: list[ProducerClient]) -> None:
        producers[0].acknowledges = False
        sender.send("t", b"v", "k")

        with pytest.raises(click.ClickException, match="does not take it: no answer"):
            sender.flush()

    def test_refused_message_names_the_reason(self, sender: Sender, producers: list[ProducerClient]) -> None:
        producers[0].refused[b"v"] = KafkaError.INVALID_RECORD
        sender.send("t", b"v", None)

        with pytest.raises(click.ClickException, match="a compacted topic takes no message without a key"):
            sender.flush()

    def test_message_that_the_client_rejects_is_an_error(self, sender: Sender, producers: list[ProducerClient]) -> None:
        producers[0].rejected[b"v"] = KafkaError.MSG_SIZE_TOO_LARGE

        with pytest.raises(click.ClickException, match="Kafka does not take it"):
            sender.send("t", b"v", "k")
