"""The whole topology to be hurt: Apache Kafka, Redis, a ledger, nodes, and two of each link, all real processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.ledger import ChaosLedger, running_ledger
from tests.chaos.links import Links
from tests.chaos.nodes import ChaosNode
from tests.chaos.reader import Reader
from tests.helpers.catena_up import catalogue_list
from tests.servers import Kafka, KafkaCluster, Redis, kafka_cluster, kafka_server, redis_server

REPLICAS = 2
_NODES = 4
_KEEPING = 1  # of the nodes, those whose data are files

# Seconds: short, so that a fault is noticed and mended within a test.
_PACE = {
    "OFFERING_FETCH_INTERVAL": "1",
    "OFFERING_DESC_TIMEOUT": "5",
    "NODE_HEALTH_CHECK_INTERVAL": "1",
    "NODE_TIMEOUT": "5",
    "NODE_GRACE_PERIOD": "5",
    "NODE_INSPECTION_INTERVAL": "2",
}


@dataclass
class World:
    """Everything that runs.

    Attributes:
        kafka: One broker, or a cluster of three.
        rng: Chooses victims.
    """

    kafka: Kafka | KafkaCluster
    redis: Redis
    ledger: ChaosLedger
    nodes: list[ChaosNode]
    links: Links
    reader: Reader
    rng: random.Random

    @property
    def brokers(self) -> list[Kafka]:
        """Kafka's brokers."""
        return self.kafka.nodes if isinstance(self.kafka, KafkaCluster) else [self.kafka]


@contextmanager
def running_world(folder: Path, offerings: int, seed: int, brokers: int, refresh: float) -> Iterator[World]:
    """Run everything for the length of a block.

    Args:
        folder: Where processes log.
        offerings: The number of offerings that are listed at first.
        seed: Decides the offerings, the changes and the victims.
        brokers: One or three.
        refresh: Seconds until a description is fetched again.

    Raises:
        ServerUnavailable: Kafka or Redis cannot be had here.
    """
    with ExitStack() as stack:
        kafka: Kafka | KafkaCluster = (
            stack.enter_context(kafka_server(own=True)) if brokers == 1 else stack.enter_context(kafka_cluster())
        )
        redis = stack.enter_context(redis_server(own=True))
        ledger = stack.enter_context(running_ledger(seed))
        for _ in range(offerings):
            ledger.list_new()
        nodes = []
        for number in range(1, _NODES + 1):
            node = ChaosNode(f"node_{number}", folder, keeps=number <= _KEEPING)
            nodes.append(node)
            stack.callback(node.kill)
        environment = {
            **_PACE,
            "DLT_BASE_URL": ledger.url,
            "OPERATOR_PROVIDED": "1",
            "CATALOGUE_LIST": catalogue_list(folder / "nodes.json", [node.url for node in nodes]),
            "OFFERING_REPLICA_COUNT": str(REPLICAS),
            "OFFERING_REFRESH_INTERVAL": str(refresh),
            "REDIS_HOST": redis.host,
            "REDIS_PORT": str(redis.port),
            "HOST_ADDRESS": "127.0.0.1",
        }
        links = Links(kafka.bootstrap, environment, folder)
        stack.callback(links.close)
        reader = Reader(links.gateways, ledger)
        stack.callback(reader.close)
        yield World(kafka, redis, ledger, nodes, links, reader, random.Random(seed))
