"""A writer with one node, in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.writer import Writer
from tests.helpers.odd_server import OddServer
from tests.helpers.records import described, ring
from topology import records, topics
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.records import RING_KEY, Node, Placement, Write, placement_key

G = "https://p.example/1"
NO_GRAPHS = b'{"results": {"bindings": []}}'
TOPIC = topics.writes_topic("n").name


class Writing:
    """A writer and one node, called `n`."""

    def __init__(self, url: str, state: Any = "up", epoch: int = 1, **more: Any) -> None:
        self.url = url
        self.node = Node("n", url, state, **more)
        self.link = Writer()
        self.driver = LinkDriver(
            self.link, tables={topics.RING: {RING_KEY: records.to_text(ring(epoch, [self.node]))}}, partitions=4
        )
        self.link.assigned([(TOPIC, 0)])

    def change(self, epoch: int, *nodes: Node) -> None:
        self.driver.put(topics.RING, RING_KEY, records.to_text(ring(epoch, nodes)))

    def take(self, *writes: Write) -> list[Electron]:
        """Let it take writes together; what it sends of their outcome."""
        electrons = [Electron(write.graph, records.to_text(write), topic=TOPIC) for write in writes]
        sent = self.driver.transform_batch(electrons)
        for electron in sent:
            if electron.topic in (topics.PLACEMENTS, topics.INTENTS):
                self.driver.put(electron.topic, electron.key, electron.value, electron.partition or 0)
        return [electron for electron in sent if electron.topic != topics.INTENTS]

    def put(self, note: str = "a note", version: int = 5, graph: str = G, epoch: int = 1) -> Placement | None:
        """Let it put a graph; the placement that it tells."""
        what = described(graph, note)
        write = Write("put", "n", graph, "0xa", version, epoch, 3, what.digest, what.triples)
        return placement_in(self.take(write))

    def delete(self, version: int = 6, graph: str = G) -> list[Electron]:
        return self.take(Write("delete", "n", graph, "0xa", version, 1, 3))

    @property
    def held(self) -> str | None:
        return NodeClient(self.url, WebClient(5), self.node.protocol).get(G)

    def inspect(self) -> list[Electron]:
        """Let it inspect the node if that is due; the placements that it tells."""
        before = len(self.driver.sent)
        self.link._inspect()
        for inspected in self.link._inspector._nodes.values():
            if inspected.running is not None:
                inspected.running.result(120)
        return [electron for electron in self.driver.sent[before:] if electron.topic == topics.PLACEMENTS]

    def remember(self, graph: str, digest: str = "d", node: str = "n") -> None:
        """Put a placement into the topic."""
        placement = Placement(node, graph, "0xa", 1, 1, 2, digest)
        self.driver.put(topics.PLACEMENTS, placement_key(node, graph), records.to_text(placement), 2)


def writes_to(server: OddServer) -> list[Any]:
    return [asked for asked in server.asked if not asked.path.startswith("/catalogue/sparql")]


def placements(electrons: Iterable[Electron]) -> list[Placement]:
    """Return all placements among what was sent, but for tombstones."""
    told = [one.value for one in electrons if one.topic == topics.PLACEMENTS and one.value is not None]
    return [records.from_text(value, Placement) for value in told]


def placement_in(electrons: list[Electron]) -> Placement | None:
    """Return the one placement among what was sent, if there is one."""
    found = [electron for electron in electrons if electron.topic == topics.PLACEMENTS]
    assert len(found) <= 1
    if not found:
        return None
    assert found[0].partition == 3, "where the offering's partition is"
    assert found[0].key == placement_key("n", G)
    return records.from_text(found[0].value, Placement)
