"""The test servers themselves: they work, come back after a crash, and never outlive the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import requests
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.servers import Fuseki, Kafka, Redis, ServerUnavailable, kafka_server
from tests.servers.process import Process, free_port

TURTLE = "<http://example.org/offering> <http://example.org/title> 'Air quality'@en ."
QUERY = "SELECT ?title { GRAPH <http://example.org/graph> { ?offering <http://example.org/title> ?title } }"


def test_kafka_carries_messages(kafka: Kafka, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    create(kafka, topic, partitions=3)
    produce(kafka, topic, "a", "b", "c")

    assert sorted(consume(kafka, topic, 3, topic_name())) == ["a", "b", "c"]


def test_kafka_carries_them_by_the_new_group_protocol(kafka: Kafka, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    create(kafka, topic)
    produce(kafka, topic, "a")

    assert consume(kafka, topic, 1, topic_name(), {"group.protocol": "consumer"}) == ["a"]


def test_kafka_shows_committed_transactions_only(kafka: Kafka, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    create(kafka, topic)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic_name()})
    producer.init_transactions(20)
    for value, end in (("aborted", producer.abort_transaction), ("committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(120)
        end(20)

    assert consume(kafka, topic, 1, topic_name()) == ["committed"]


@pytest.mark.kafka
def test_kafka_keeps_its_data_through_crash_and_new_start(topic_name: Callable[..., str], tmp_path: Path) -> None:
    topic = topic_name()
    with kafka_server(data=tmp_path / "data") as own:
        create(own, topic)
        produce(own, topic, "before")
        bootstrap = own.bootstrap
        own.kill()
        assert not own.answers()
        own.restart()
        assert own.bootstrap == bootstrap
        produce(own, topic, "after")
    with kafka_server(data=tmp_path / "data") as own:
        assert consume(own, topic, 2, topic_name()) == ["before", "after"]


@pytest.mark.kafka
def test_kafka_is_silent_while_paused_and_then_goes_on() -> None:
    with kafka_server(own=True) as own:
        own.pause()
        assert not own.answers()
        own.resume()
        own.wait_until_ready(30)


def test_redis_keeps_a_value(redis_server: Redis) -> None:
    with redis.Redis(host=redis_server.host, port=redis_server.port, db=redis_server.database) as client:
        assert client.get("key") is None
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_redis_is_empty_for_the_next_test(redis_server: Redis) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.dbsize() == 0


def test_redis_comes_back_empty(redis_server: Redis) -> None:
    with redis.Redis.from_url(redis_server.url, retry=None) as client:
        client.set("key", "value")
        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("key")
        redis_server.restart()
        assert client.get("key") is None


def test_fuseki_keeps_a_graph_and_answers_from_it(fuseki: Callable[[], Fuseki]) -> None:
    server = fuseki()
    put_graph(server)
    assert titles(server) == ["Air quality"]

    update = requests.post(f"{server.url}/update", data={"update": "DROP ALL"}, timeout=120)
    assert update.ok
    assert titles(server) == []


def test_fusekis_share_nothing(fuseki: Callable[[], Fuseki]) -> None:
    one, other = fuseki(), fuseki()
    put_graph(one)

    assert one.url != other.url
    assert one.url == f"{one.base}/catalogue"
    assert titles(one) == ["Air quality"]
    assert titles(other) == []


def test_fuseki_hangs_while_paused_and_comes_back_empty(fuseki: Callable[[], Fuseki]) -> None:
    server = fuseki()
    put_graph(server)
    server.pause()
    with pytest.raises(requests.ReadTimeout):
        requests.get(server.url, timeout=0.5)
    server.resume()
    assert titles(server) == ["Air quality"]
    server.kill()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=0.5)
    server.restart()
    assert titles(server) == []


def test_a_server_that_a_test_left_dead_is_alive_for_the_next(fuseki: Callable[[], Fuseki]) -> None:
    fuseki().kill()


def test_a_server_that_a_test_left_paused_is_awake_for_the_next(fuseki: Callable[[], Fuseki]) -> None:
    server = fuseki()
    put_graph(server)
    server.pause()


def test_a_server_is_ready_and_empty_after_such_tests(fuseki: Callable[[], Fuseki]) -> None:
    assert titles(fuseki()) == []


def test_a_server_of_someone_else_is_left_alone() -> None:
    server = Kafka("kafka.example.org:9092", engine=None)
    for hurt in (server.kill, server.pause, server.resume, server.restart):
        with pytest.raises(ServerUnavailable, match=r"kafka\.example\.org:9092 was not started here"):
            hurt()


LISTENER = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); s.accept()"

PARENT = """
import sys, threading, time
from pathlib import Path
from tests.servers.process import Process
process = Process([sys.executable, "-c", *sys.argv[2:]], Path(sys.argv[1]))
starter = threading.Thread(target=process.start)
starter.start()
starter.join()
print(process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_process_outlives_the_thread_that_started_it_but_not_a_killed_parent(state: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), LISTENER, str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        assert exists(pid)
        if state == "paused":
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
    deadline = time.monotonic() + 60
    while exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not exists(pid)


def test_a_process_that_fails_tells_what_it_said(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], tmp_path)
    process.start()
    while process.alive():
        time.sleep(0.02)
    assert process.log() == "the reason"
    process.close()


def create(kafka: Kafka, topic: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(120)


def produce(kafka: Kafka, topic: str, *values: str) -> None:
    failures: list[KafkaError] = []

    def report(error: KafkaError | None, _: Message) -> None:
        if error:
            failures.append(error)

    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for value in values:
        producer.produce(topic, value, on_delivery=report)
    assert producer.flush(120) == 0
    assert failures == []


def consume(kafka: Kafka, topic: str, count: int, group: str, settings: dict[str, str] | None = None) -> list[str]:
    """Return the values of a topic's first messages, in the order in which they came."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": group, "auto.offset.reset": "earliest", **(settings or {})}
    )
    consumer.subscribe([topic])
    values: list[str] = []
    deadline = time.monotonic() + 120
    try:
        while len(values) < count and time.monotonic() < deadline:
            for message in consumer.consume(count - len(values), 0.2):
                if error := message.error():
                    raise KafkaException(error)
                values.append((message.value() or b"").decode())
    finally:
        consumer.close()
    return values


def put_graph(server: Fuseki) -> None:
    response = requests.put(
        f"{server.url}/data",
        params={"graph": "http://example.org/graph"},
        data=TURTLE,
        headers={"Content-Type": "text/turtle"},
        timeout=120,
    )
    response.raise_for_status()


def titles(server: Fuseki) -> list[str]:
    accept = {"Accept": "application/sparql-results+json"}
    response = requests.post(f"{server.url}/sparql", data={"query": QUERY}, headers=accept, timeout=120)
    response.raise_for_status()
    return [binding["title"]["value"] for binding in response.json()["results"]["bindings"]]


def exists(pid: int) -> bool:
    """Tell whether a process runs: one that has ended may still await its parent's look (state Z)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
