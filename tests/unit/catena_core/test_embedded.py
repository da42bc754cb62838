"""The embedded broker: its topics, its command, and what it says when it drops messages."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from catena_core import embedded
from catena_core.embedded import EmbeddedBroker, main
from catena_core.errors import CatenaError
from catena_core.topics import TopicSpec


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker([TopicSpec("made", 3)], first_rebalance_delay=0) as broker:
        yield broker


def partitions(broker: EmbeddedBroker, topic: str) -> int:
    return len(
        AdminClient({"bootstrap.servers": broker.endpoint}).list_topics(topic, timeout=120).topics[topic].partitions
    )


def test_topics_have_the_partitions_that_were_asked_for(broker: EmbeddedBroker) -> None:
    broker.create_topic("later", 2)
    assert (partitions(broker, "made"), partitions(broker, "later")) == (3, 2)


def test_a_topic_comes_into_being_when_first_asked_for(broker: EmbeddedBroker) -> None:
    assert partitions(broker, "asked-for") == 4


def test_a_client_of_another_protocol_leaves_no_line(broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = broker.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=120) as client:
        client.sendall(b"\0\0\0\x08\xef\xef\0\x05\0\0\0\0")  # the broker has no such request
        assert client.recv(1) == b""

    assert capfd.readouterr().err == ""


def test_a_topic_is_made_once(broker: EmbeddedBroker) -> None:
    with pytest.raises(CatenaError, match="has a topic made already"):
        broker.create_topic("made", 3)


# In a process of its own: earlier tests may have left threads that start others.
FAILS_AND_WAITS = """
import time
from pathlib import Path
from catena_core.embedded import EmbeddedBroker
from catena_core.errors import CatenaError
from catena_core.topics import TopicSpec

threads = set(Path("/proc/self/task").iterdir())
try:
    EmbeddedBroker([TopicSpec("made", 1), TopicSpec("made", 2)])
except CatenaError as error:
    print(error)
while set(Path("/proc/self/task").iterdir()) - threads:
    time.sleep(0.01)
"""


def test_a_broker_that_cannot_make_its_topics_leaves_nothing_running() -> None:
    result = subprocess.run([sys.executable, "-c", FAILS_AND_WAITS], capture_output=True, text=True, timeout=120)
    assert "has a topic made already" in result.stdout, result.stderr
    assert result.returncode == 0


def test_two_brokers_of_one_process_share_nothing(broker: EmbeddedBroker) -> None:
    with EmbeddedBroker([TopicSpec("made", 7)]) as other:
        assert other.endpoint != broker.endpoint
        assert (partitions(other, "made"), partitions(broker, "made")) == (7, 3)


def test_a_broker_may_be_closed_again() -> None:
    broker = EmbeddedBroker()
    broker.close()
    broker.close()


def test_an_installation_without_the_wheels_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(confluent_kafka, "__file__", str(tmp_path / "confluent_kafka" / "__init__.py"))
    with pytest.raises(CatenaError, match="install it with pip from a wheel"):
        EmbeddedBroker()


@pytest.mark.parametrize("topic", ["words", "words:", ":4", "words:0", "words:1001", "words:four", "words:-1"])
def test_a_topic_that_cannot_be_made_is_refused_by_the_command(topic: str) -> None:
    result = CliRunner().invoke(main, ["--topic", topic])
    assert result.exit_code == 2
    assert "should be NAME:PARTITIONS" in result.output


def test_the_command_says_of_a_port_that_is_taken_how_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(main, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "choose another with --port" in result.output


def test_the_command_says_of_a_topic_that_is_named_twice_that_it_is_there() -> None:
    result = CliRunner().invoke(main, ["--port", "0", "--topic", "in:1", "--topic", "in:2"])
    assert result.exit_code == 1
    assert "has a topic in already" in result.output


def test_dropped_messages_are_told_once_for_each_topic(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[Any] = [KafkaException(KafkaError(KafkaError._TRANSPORT)), {}, {"in": 5}, {"in": 9, "out": 2}]

    def look(*_arguments: Any) -> dict[str, int]:
        if not looks:
            raise asyncio.CancelledError
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    client = SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(topics=["in", "out"]))
    monkeypatch.setattr(embedded, "AdminClient", lambda settings: client)
    monkeypatch.setattr(embedded, "dropped", look)
    monkeypatch.setattr(embedded, "_CHECK_EVERY", 0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(embedded._tell_of_drops("127.0.0.1:1"))
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" of its")[0] for line in told] == ["WARNING in has dropped 5", "WARNING out has dropped 2"]
