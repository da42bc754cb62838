"""A router, and nodes that do as a test says with the writes it sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.router import Router
from tests.helpers.records import node, offering, ring
from topology import records, topics
from topology.records import REFUSED_DELETE, RING_KEY, Node, Offering, Placement, Write, placement_key
from topology.ring import RingView

G = "https://p.example/1"
GRAPHS = [f"https://p.example/{number}" for number in range(40)]
THREE = [node("a"), node("b"), node("c")]
FOUR = [*THREE, node("d")]
INPUTS = [(topics.OFFERINGS, 0), (topics.PLACEMENTS, 0)]


class Routing:
    """A router, and nodes that acknowledge what a test lets them."""

    def __init__(self, nodes: Sequence[Node] = THREE, replicas: int = 2) -> None:
        self.replicas = replicas
        self.epoch = 1
        self.nodes = nodes
        self.link = Router()
        self.driver = LinkDriver(
            self.link, tables={topics.RING: {RING_KEY: records.to_text(self.ring)}} if nodes else None
        )

    @property
    def ring(self) -> Any:
        return ring(self.epoch, self.nodes, self.replicas)

    def owners(self, graph: str = G) -> set[str]:
        return set(RingView(self.ring).owners(graph))

    def assign(self) -> list[Write]:
        return self._read(self.driver.assign(*INPUTS))

    def change(self, *nodes: Node) -> list[Write]:
        """Publish a new ring."""
        self.epoch += 1
        self.nodes = nodes
        return self._read(self.driver.put(topics.RING, RING_KEY, records.to_text(self.ring)))

    def offer(self, graph: str = G, content: str = "content", address: str = "0xa", claimed_at: int = 1) -> list[Write]:
        return self.take(topics.OFFERINGS, address, offering(graph, content, claimed_at))

    def withdraw(self, address: str = "0xa") -> list[Write]:
        return self.take(topics.OFFERINGS, address, None)

    def acknowledge(self, *writes: Write, refused: bool = False) -> list[Write]:
        """Have the nodes do as they were asked, or refuse."""
        found = []
        for write in writes:
            answer = {"refused": write.digest or REFUSED_DELETE} if refused else {"digest": write.digest}
            is_gone = write.kind == "delete" and not refused
            found += self.place(write.node, write.graph, None if is_gone else answer, write.version)
        return found

    def place(self, name: str, graph: str, answer: dict[str, Any] | None, version: int = 0) -> list[Write]:
        placement = None if answer is None else Placement(name, graph, "0xa", version, self.epoch, 0, **answer)
        return self.take(topics.PLACEMENTS, placement_key(name, graph), placement)

    def take(self, topic: str, key: str, record: Offering | Placement | None) -> list[Write]:
        value = None if record is None else records.to_text(record)
        return self._read(self.driver.transform(Electron(key, value, topic=topic, partition=0)))

    def stand(self, *graphs: str) -> None:
        """Bring graphs to their owners."""
        for number, graph in enumerate(graphs or (G,)):
            assert self.acknowledge(*self.offer(graph, address=f"0x{number}")) == []

    def sweep(self) -> list[Write]:
        before = len(self.driver.sent)
        self.link._sweep()
        return self._read(self.driver.sent[before:])

    def _read(self, electrons: Sequence[Electron]) -> list[Write]:
        writes = [records.from_text(electron.value, Write) for electron in electrons]
        for electron, write in zip(electrons, writes, strict=True):
            assert electron.topic == topics.writes_topic(write.node).name
            assert electron.key == write.graph
            assert write.epoch == self.epoch
        return writes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def kinds(writes: Sequence[Write]) -> list[tuple[str, str]]:
    return sorted((write.kind, write.node) for write in writes)


def puts(*names: str) -> list[tuple[str, str]]:
    return sorted(("put", name) for name in names)
