"""The reasons for which brokers do not answer, as commands and links say them."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import CatenaError
from catena_core.kafka.broker_errors import BrokerErrors, explained
from catena_core.topics import TopicSpec, ensure
from tests.helpers.odd_server import closed_port


def no_answer(endpoint: str, **properties: str) -> str:
    """Return what is said after a call to brokers that do not answer."""
    errors = BrokerErrors()
    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 0, "error_cb": errors, **properties})
    with pytest.raises(KafkaException) as raised:
        while True:
            admin.list_topics(timeout=1)
    admin.poll(0)
    return errors.no_answer(endpoint, raised.value)


def test_no_answer_says_that_a_name_is_unknown_and_a_connection_refused_each_once() -> None:
    closed = f"127.0.0.1:{closed_port()}"
    said = no_answer(f"{closed},nowhere.invalid:9092")

    assert said.count("Connection refused") == 1
    assert said.count("Failed to resolve 'nowhere.invalid:9092'") == 1
    assert "in state" not in said
    assert "brokers are down" not in said


def test_no_answer_of_a_server_that_stays_silent_says_what_it_may_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = no_answer(f"127.0.0.1:{server.getsockname()[1]}")

    assert "another server" in said
    assert "security.protocol" in said


def test_no_answer_leaves_out_for_how_long_and_how_often_it_was_tried() -> None:
    errors = BrokerErrors()
    errors(
        KafkaError(
            KafkaError._TRANSPORT,
            "localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused "
            "(after 0ms in state CONNECT, 1 identical error(s) suppressed)",
        )
    )
    said = errors.no_answer("localhost:1", KafkaException(KafkaError(KafkaError._TRANSPORT)))

    assert said.endswith("(Connect to ipv4#127.0.0.1:1 failed: Connection refused)")


def test_a_handshake_that_is_reset_names_the_property() -> None:
    errors = BrokerErrors()
    reason = "SSL handshake failed: Disconnected: connection reset by peer: connecting to a PLAINTEXT broker listener?"
    errors(KafkaError(KafkaError._SSL, f"ssl://localhost:1/bootstrap: {reason} (after 3ms in state SSL_HANDSHAKE)"))
    said = errors.no_answer("localhost:1", KafkaException(KafkaError(KafkaError._TRANSPORT)))

    assert "it speaks no TLS" in said


def test_no_answer_of_a_broker_without_tls_names_the_property() -> None:
    def hang_up(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        said = no_answer(f"127.0.0.1:{server.getsockname()[1]}", **{"security.protocol": "SSL"})
        server.shutdown(socket.SHUT_RDWR)

    assert "it speaks no TLS" in said
    assert "security.protocol" in said


@pytest.mark.parametrize(
    ("broker", "misled"), [("kafka:9092/1", True), ("ssl://kafka:9093/12", True), ("kafka:9092/bootstrap", False)]
)
def test_an_address_that_the_broker_itself_tells_and_that_is_unknown_names_its_setting(
    broker: str, misled: bool
) -> None:
    said = f"{broker}: Failed to resolve 'kafka:9092': Name or service not known (after 5ms in state CONNECT)"
    errors = BrokerErrors()
    errors(KafkaError(KafkaError._RESOLVE, said))

    for text in (explained(said), errors.reasons()):
        assert ("; the broker tells clients to ask kafka:909" in text) is misled
        assert text.endswith("look at its advertised.listeners") is misled


class Silent:
    """A client whose calls all time out, and which says why, where it knows."""

    def __init__(self, reasons: dict[str, str], tell: BrokerErrors) -> None:
        self.waits: list[float] = []
        self._reasons, self._tell = reasons, tell

    def list_topics(self, timeout: float) -> None:
        self.waits.append(timeout)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, _timeout: float) -> None:
        for broker, reason in self._reasons.items():
            self._tell(KafkaError(KafkaError._TRANSPORT, f"{broker}/bootstrap: {reason} (after 0ms in state CONNECT)"))


def test_brokers_that_all_refuse_are_given_up_soon_and_silent_ones_get_their_time() -> None:
    refused = "Connect to ipv4#127.0.0.1:1 failed: Connection refused"
    waits: dict[int, list[float]] = {}
    for known in (0, 1, 2):
        errors = BrokerErrors()
        client = Silent({f"ssl://broker_{number}:1": refused for number in range(known)}, errors)
        told: list[str] = []
        with pytest.raises(CatenaError, match="no Kafka broker answers"):
            errors.metadata(client, "broker_0:1,broker_1:1", 15, told.append)
        waits[known] = client.waits
        assert told == ([] if known == 2 else ["waiting for Kafka at broker_0:1,broker_1:1, for 12 s more …"])

    assert waits == {0: [3, 12], 1: [3, 12], 2: [3]}


def test_ensure_names_the_reason() -> None:
    with pytest.raises(CatenaError, match=r"Connection refused.*-k HOST:PORT"):
        ensure(f"127.0.0.1:{closed_port()}", [TopicSpec("words")], patience=0)
