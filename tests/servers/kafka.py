"""Apache Kafka: one node that is broker and KRaft controller in one."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.servers.cache import cached
from tests.servers.container import Container
from tests.servers.java import archived_classes, fetch_jars, java, java_program
from tests.servers.kafka_security import Security, make_security
from tests.servers.process import Process, free_port
from tests.servers.server import START_TIMEOUT, Engine, Server, ServerFailedError, first_to_start

NAME = "Apache Kafka"
ENVIRONMENT = "CATENA_TEST_KAFKA"
VERSION = "4.4.0"  # needs Java 17
LOG4J_VERSION = "2.25.5"  # the one that this Kafka brings
IMAGE = f"apache/kafka:{VERSION}"
HEAP = 512  # MiB

CLUSTER_ID = base64.urlsafe_b64encode(b"catena-test-node").decode().rstrip("=")  # any 16 bytes


class Kafka(Server):
    """An Apache Kafka cluster; its topics survive a restart.

    Attributes:
        properties: What clients need besides its address: nothing, unless it is guarded.
    """

    def __init__(self, bootstrap: str, engine: Engine | None, properties: dict[str, str] | None = None) -> None:
        super().__init__(NAME, bootstrap, engine)
        self.properties = properties or {}

    @property
    def bootstrap(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return self.address

    def answers(self) -> bool:
        """Tell whether a broker takes requests and coordinates groups.

        The question about a group makes a new cluster set up its coordinator now; the first consumer to ask for it
        would be told to come back later, and lose 3 s over that.
        """
        settings = {"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 100}
        client = Consumer({**settings, **self.properties, "group.id": "anybody"})
        try:
            if not client.list_topics(timeout=5).brokers:
                return False
            # Not by `describe_consumer_groups`: an answer after its time-out ends the process (librdkafka's issue 4605).
            client.committed([TopicPartition("anything", 0)], timeout=5)
        except KafkaException:
            return False
        finally:
            client.close()
        return True


@contextmanager
def kafka_server(data: Path | None = None, own: bool = False, guarded: bool = False) -> Iterator[Kafka]:
    """Run Apache Kafka for the length of a block.

    Args:
        data: keeps the topics there, so that a later call finds them (always a local process); without it they go
            with the block.
        own: do not use the one that `CATENA_TEST_KAFKA` names, because it is to be killed or filled.
        guarded: let nobody in without TLS and a password (always a local process, and never the one of the environment).

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start.
    """
    given = None if own or data or guarded else os.environ.get(ENVIRONMENT)
    if given:
        with Kafka(given, engine=None) as kafka:
            yield kafka
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="catena-kafka-", ignore_cleanup_errors=True) as temporary:
        security = make_security(Path(temporary)) if guarded else None
        process = partial(_process, port, Path(temporary), data or Path(temporary) / "data", security)
        ways = [process] if data or guarded else [partial(_container, port), process]
        properties = security.client if security else None
        with Kafka(f"127.0.0.1:{port}", first_to_start(NAME, *ways), properties) as kafka:
            yield kafka


def _guarded(port: int, controller_port: int, security: Security) -> dict[str, str]:
    """Make the settings of a node that lets others in by TLS and password, and itself by a port that only it knows."""
    own_port = free_port()
    listeners = f"SASL_SSL://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{own_port}"
    return {
        **settings_of_node("127.0.0.1", port, controller_port),
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        **security.broker,
    }


def settings_of_node(listen: str, port: int, controller_port: int) -> dict[str, str]:
    """Make the settings of a node that is a cluster by itself."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{listen}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        # One node, so one copy of everything; few partitions, so that a start is short.
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),  # of the heap; the default takes 128 MiB
        # Groups, classic and of KIP-848, rebalance at once and may notice a dead member soon.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "500",
        "group.consumer.heartbeat.interval.ms": "500",
        "group.consumer.min.heartbeat.interval.ms": "500",
        "group.consumer.session.timeout.ms": "10000",
        "group.consumer.min.session.timeout.ms": "1000",
        # The controller lets a killed broker back in only when its old session has run out: 9 s unless told.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "6000",
    }


def _container(port: int) -> Engine:
    settings = settings_of_node("0.0.0.0", port, controller_port=9093 if port != 9093 else 9094)
    environment = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
    environment |= {"CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": f"-Xmx{HEAP}m"}
    return Container(IMAGE, port, environment=environment)


def _process(port: int, folder: Path, data: Path, security: Security | None = None) -> Engine:
    chosen = _guarded(port, free_port(), security) if security else settings_of_node("127.0.0.1", port, free_port())
    return run_node(chosen, folder, data)


def run_node(chosen: dict[str, str], folder: Path, data: Path) -> Engine:
    """Make a node as a local process, and format its data where that is new.

    Args:
        chosen: Kafka's settings.
        folder: Where it runs and logs.
        data: Where it keeps its topics.
    """
    return _node(chosen, folder, data, archived_classes(kafka_jars(), NAME, _run_once))


def _run_once(option: str) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="catena-kafka-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        engine = _node(settings_of_node("127.0.0.1", port, free_port()), folder, folder / "data", [], option)
        engine.start()
        with Kafka(f"127.0.0.1:{port}", engine) as kafka:
            kafka.stop()


def _node(chosen: dict[str, str], folder: Path, data: Path, options: list[str], *of_the_server: str) -> Engine:
    jars = kafka_jars()
    lines = chosen | {"log.dirs": str(data.resolve())}
    settings = folder / "server.properties"
    settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    run = partial(java, jars, heap=HEAP, properties={"org.apache.logging.log4j.level": "WARN"})
    if not (data / "meta.properties").exists():
        data.mkdir(parents=True, exist_ok=True)
        format_it = ["format", "--cluster-id", CLUSTER_ID, "--config", str(settings)]
        result = subprocess.run(
            run("kafka.tools.StorageTool", *format_it, options=options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_TIMEOUT,
        )
        if result.returncode:
            raise ServerFailedError(f"{NAME} could not format {data}:\n{result.stdout}")
    return Process(run("kafka.Kafka", str(settings), options=[*options, *of_the_server]), folder)


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, which are fetched once.

    Raises:
        ServerUnavailable: There is no Java, or no Maven to fetch them with.
    """
    java_program()  # without Java there is no need to fetch what runs on it
    return cached(f"kafka-{VERSION}", f"{NAME} {VERSION} (43 MB)", _fetch)


def _fetch(folder: Path) -> None:
    # kafka-tools-api serves Kafka's console programs only, and Maven Central does not have it for this version.
    fetch_jars(
        folder,
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}",
        without=("org.apache.kafka:kafka-tools-api",),
    )
