"""Apache Kafka as a cluster of three nodes, each broker and controller, which goes on when it loses one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.kafka import NAME, Kafka, run_node, settings_of_node
from tests.servers.process import free_port
from tests.servers.server import START_TIMEOUT, ServerFailedError, first_to_start

NODES = 3

# Every message stands on three brokers and is acknowledged by two.
_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "3000",
}


class KafkaCluster:
    """Three brokers.

    Attributes:
        nodes: Each as a server of its own, which may be killed and started again.
    """

    def __init__(self, nodes: list[Kafka]) -> None:
        self.nodes = nodes

    @property
    def bootstrap(self) -> str:
        """What clients take as `bootstrap.servers`."""
        return ",".join(node.address for node in self.nodes)

    def wait_until_whole(self) -> None:
        """Return when all brokers are members.

        Raises:
            ServerFailedError: They did not come together in time.
        """
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            try:
                if len(admin.list_topics(timeout=5).brokers) == len(self.nodes):
                    return
            except KafkaException:
                continue
            time.sleep(0.1)
        raise ServerFailedError(f"{NAME}: its {len(self.nodes)} nodes made no cluster")


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Run a cluster of three local processes for the length of a block.

    Raises:
        ServerUnavailable: There is no way to have it here.
        ServerFailedError: It did not start.
    """
    ports = [free_port() for _ in range(NODES)]
    controllers = [free_port() for _ in range(NODES)]
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1))

    with (
        tempfile.TemporaryDirectory(prefix="catena-kafka-", ignore_cleanup_errors=True) as temporary,
        ExitStack() as stack,
    ):

        def start(number: int) -> Kafka:
            folder = Path(temporary) / str(number)
            folder.mkdir()
            settings = {
                **settings_of_node("127.0.0.1", ports[number - 1], controllers[number - 1]),
                **_REPLICATED,
                "node.id": str(number),
                "controller.quorum.voters": voters,
            }
            address = f"127.0.0.1:{ports[number - 1]}"
            return Kafka(address, first_to_start(NAME, partial(run_node, settings, folder, folder / "data")))

        with ThreadPoolExecutor(NODES) as pool:
            nodes = list(pool.map(start, range(1, NODES + 1)))
        for node in nodes:
            stack.callback(node.__exit__, None, None, None)
        cluster = KafkaCluster(nodes)
        cluster.wait_until_whole()
        nodes[0].wait_until_ready()
        yield cluster
