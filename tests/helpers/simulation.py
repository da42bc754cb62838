"""A topology in memory: the real router and writer, on topics and nodes that do to them what brokers and nodes do.

Electrons are delivered at least once, in order for each key and else in any order, compacted before a replay; nodes hang, fail,
refuse, lose everything, leave and come back; routers and writers are replaced at any moment.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links import router as router_module
from links import writer as writer_module
from links.router import Router
from links.writer import Writer
from tests.helpers.records import offering
from tests.helpers.replicas import take_snapshot
from topology import inspection as inspection_module
from topology import records, topics
from topology.clients.http import WebError
from topology.clients.node import GraphWrite
from topology.clients.node_status import FailedError, RefusedError
from topology.gateway.replicas.ranking import decode_replica
from topology.records import RING_KEY, Node, NodeState, Offering, Ring, Write
from topology.ring import RingView

PARTITIONS = 3
INPUTS = (topics.OFFERINGS, topics.PLACEMENTS)


class Clock:
    """Time as the links see it; waiting costs none."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Log:
    """One topic that is compacted: what was sent to each partition, with its offsets."""

    def __init__(self) -> None:
        self.entries: dict[int, list[tuple[int, str, Any]]] = defaultdict(list)
        self._next: dict[int, int] = defaultdict(int)

    def append(self, partition: int, key: str, value: Any) -> int:
        offset = self._next[partition]
        self._next[partition] = offset + 1
        self.entries[partition].append((offset, key, value))
        return offset

    def compact(self, partition: int, without_tombstones: bool) -> None:
        newest = {key: offset for offset, key, _ in self.entries[partition]}
        self.entries[partition] = [
            (offset, key, value)
            for offset, key, value in self.entries[partition]
            if newest[key] == offset and not (value is None and without_tombstones)
        ]


class Store:
    """What a node holds, and how it behaves next."""

    def __init__(self) -> None:
        self.graphs: dict[str, str] = {}
        self.fault = ""


class World:
    """The topology.

    Args:
        seed: Decides everything that is left to chance.
        replicas: How many copies are wanted.
    """

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch, replicas: int = 2) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.replicas = replicas
        self.takes_batches = bool(seed % 2)
        self.stores: dict[str, Store] = {}
        self.nodes: dict[str, Node] = {}
        self.epoch = 0
        self.logs = {topic: Log() for topic in (*INPUTS, topics.INTENTS)}
        self.queues: dict[str, dict[str, deque[Electron]]] = defaultdict(lambda: defaultdict(deque))
        self.applied: dict[str, list[Electron]] = defaultdict(list)
        self.graph_of: dict[str, str] = {}
        self.contents: dict[str, Offering] = {}
        self.refused: set[str] = set()
        self.was_refused: set[str] = set()
        self.moment = 0
        monkeypatch.setattr(router_module, "time", self.clock)
        monkeypatch.setattr(writer_module, "time", self.clock)
        monkeypatch.setattr(inspection_module, "time", self.clock)
        monkeypatch.setattr(writer_module, "NodeClient", self._client)
        monkeypatch.setattr(writer_module, "_MOST_FAILURES", 2)
        monkeypatch.setattr(Writer, "wait", lambda _, seconds: None)
        monkeypatch.setattr(Router, "loop", lambda *_, **__: None)
        monkeypatch.setattr(Writer, "loop", lambda *_, **__: None)
        self._start_writer()
        self.restart_router()

    # Nodes and the ring

    @property
    def ring(self) -> Ring:
        return Ring(self.epoch, tuple(self.nodes.values()), 20, self.replicas)

    def publish(self) -> None:
        """Make a ring with the nodes as they are now."""
        self.epoch += 1
        for driver in self.random.sample([self.writer, self.router], 2):
            driver.put(topics.RING, RING_KEY, records.to_text(self.ring))
        self._take_writes()

    def set_state(self, name: str, state: NodeState) -> None:
        before = self.nodes.get(name)
        since = before.since if before else 0
        if state == "up" and (before is None or before.state != "up"):
            since = self.epoch + 1
        self.stores.setdefault(name, Store())
        draining, weight = (before.draining, before.weight) if before else (False, 1.0)
        self.nodes[name] = Node(name, f"http://{name}.invalid", state, since, weight=weight, draining=draining)
        self.publish()

    def alter(self, name: str, **changes: Any) -> None:
        """Change a node's weight, or whether it is draining."""
        self.nodes[name] = msgspec.structs.replace(self.nodes[name], **changes)
        self.publish()

    def copies(self, graph: str, digest: str) -> int:
        """Count the nodes that hold a graph with this content."""
        return sum(store.graphs.get(graph) == digest for store in self.stores.values())

    def remove(self, name: str) -> None:
        del self.nodes[name]
        self.publish()

    def _client(self, url: str, *_: Any) -> Client:
        name = url.removeprefix("http://").removesuffix(".invalid")
        return Client(self, name, self.stores[name])

    # Offerings

    def offer(self, address: str, graph: str, content: str) -> None:
        """Make what a fetcher sends for a description that is new or has changed."""
        before = self.graph_of.get(address)
        if before is not None and before != graph:
            self.withdraw(address)
        self.moment += self.random.randint(0, 1)
        claimed_at = self.contents[address].claimed_at if before == graph else self.moment
        self.contents[address] = offering(graph, content, claimed_at)
        self.graph_of[address] = graph
        self._append(topics.OFFERINGS, self._partition(graph), address, records.to_text(self.contents[address]))

    def withdraw(self, address: str) -> None:
        graph = self.graph_of.pop(address)
        del self.contents[address]
        self._append(topics.OFFERINGS, self._partition(graph), address, None)

    def rightful(self) -> dict[str, Offering]:
        """Each graph as it should stand: as the first claimed it."""
        found: dict[str, Offering] = {}
        for _, offered in sorted(self.contents.items(), key=lambda item: (item[1].claimed_at, item[0])):
            found.setdefault(offered.graph, offered)
        return found

    # The links

    def restart_router(self) -> None:
        """Replace the router by another, which replays what compaction has left."""
        ring = {topics.RING: {RING_KEY: records.to_text(self.ring)}} if self.epoch else {}
        link = Router()
        self.router = LinkDriver(link, tables=ring, partitions=PARTITIONS)
        partitions = [(topic, number) for topic in INPUTS for number in range(PARTITIONS)]
        link.assigned(partitions)
        self.random.shuffle(partitions)
        for topic, number in partitions:
            log = self.logs[topic]
            if self.random.random() < 0.5:
                log.compact(number, without_tombstones=self.random.random() < 0.5)
            for offset, key, value in list(log.entries[number]):
                self._to_router(topic, number, offset, key, value)
            link.replayed((topic, number))
        self._take_writes()

    def restart_writer(self, lost: int = 0) -> None:
        """Replace the writer by another, to whom what was not committed is delivered once more.

        Args:
            lost: The number of the last writes to each node whose acknowledgements may have been lost.
        """
        self._start_writer()
        for node, electrons in self.applied.items():
            again = max(lost, self.random.randint(0, 4))
            for electron in reversed(electrons[-again:] if electrons and again else []):
                self.queues[node][electron.key].appendleft(electron)
            electrons.clear()

    def _start_writer(self) -> None:
        rows: dict[str, Any] = {}
        for entries in self.logs[topics.PLACEMENTS].entries.values():
            rows |= {key: value for _, key, value in entries}
        tables = {topics.PLACEMENTS: {key: value for key, value in rows.items() if value is not None}}
        tables[topics.INTENTS] = {key: value for _, key, value in self.logs[topics.INTENTS].entries[0]}
        if self.epoch:
            tables[topics.RING] = {RING_KEY: records.to_text(self.ring)}
        self._writer_link = Writer()
        self.writer = LinkDriver(self._writer_link, tables=tables, partitions=PARTITIONS)

    def write_once(self, node: str) -> bool:
        """Let the writer take one write for a node; whether there was one."""
        waiting = [key for key, queue in self.queues[node].items() if queue]
        if not waiting:
            return False
        electrons = [
            self.queues[node][graph].popleft()
            for graph in self.random.sample(waiting, self.random.randint(1, len(waiting)))
        ]
        self.applied[node] += electrons
        crashes = self.random.random() < 0.05
        sent = self.writer.transform_batch(electrons)
        self._take_placements([electron for electron in sent if electron.topic == topics.INTENTS or not crashes])
        if crashes:
            self.restart_writer(len(electrons))
        return True

    def inspect(self) -> None:
        """Let the writer compare the nodes with what they acknowledged."""
        for node in list(self.nodes.values()):
            if node.state == "up":
                before = len(self.writer.sent)
                self._writer_link._inspector.inspect_node(node)
                self._take_placements(self.writer.sent[before:])

    def settle(self) -> int:
        """Let everything that is under way come to its end; returns how many writes that took."""
        for store in self.stores.values():
            store.fault = ""
        writes = quiet_rounds = 0
        for _ in range(60):
            self.inspect()
            quiet = True
            for node in list(self.queues):
                while self.write_once(node):
                    writes += 1
                    quiet = False
            self.clock.now += 10_000_000.0
            link = self.router._link
            assert isinstance(link, Router)
            link._sweep()
            self._take_writes()
            quiet = quiet and not any(queue for queues in self.queues.values() for queue in queues.values())
            quiet_rounds = quiet_rounds + 1 if quiet else 0
            if quiet_rounds == 2:  # an inspection may put off a repair
                return writes
        raise AssertionError("it never comes to rest")

    def _append(self, topic: str, partition: int, key: str, value: Any) -> None:
        offset = self.logs[topic].append(partition, key, value)
        if topic == topics.PLACEMENTS:
            self.writer.put(topic, key, value, partition)
        self._to_router(topic, partition, offset, key, value)
        self._take_writes()

    def _to_router(self, topic: str, partition: int, offset: int, key: str, value: Any) -> None:
        self.router._offsets[topic, partition] = offset
        self.router.transform(Electron(key, value, topic=topic, partition=partition))

    def _take_writes(self) -> None:
        sent, self.router.sent = self.router.sent, []
        for electron in sent:
            assert electron.topic is not None
            node = electron.topic.removeprefix(f"{topics.WRITES}.")
            self.queues[node][electron.key].append(electron)

    def _take_placements(self, electrons: list[Electron]) -> None:
        for electron in electrons:
            if electron.topic == topics.INTENTS:
                self.logs[topics.INTENTS].append(0, electron.key, electron.value)
                self.writer.put(topics.INTENTS, electron.key, electron.value)
            if electron.topic == topics.PLACEMENTS:
                assert electron.partition is not None
                self._append(topics.PLACEMENTS, electron.partition, electron.key, electron.value)

    @staticmethod
    def _partition(graph: str) -> int:
        return topics.graph_partition(graph, PARTITIONS)

    # What must hold once all is quiet

    def check(self) -> None:
        """Every graph on exactly its owners, with the right content, and nothing else on any live node."""
        view = RingView(self.ring)
        live = [name for name in self.nodes if view.is_up(name)]
        wanted = self.rightful()
        for name in live:
            held = self.stores[name].graphs
            for graph, digest in held.items():
                assert graph in wanted, f"{name} still holds {graph}"
                if not self._is_held_back(view, graph):
                    assert name in view.owners(graph), f"{name} holds {graph}, which is {view.owners(graph)}'s"
                    assert digest == wanted[graph].digest, f"{name} holds another {graph}"
            for graph, right in wanted.items():
                if name in view.owners(graph) and right.digest not in self.was_refused:
                    assert graph in held, f"{name} lacks {graph}"
        self._check_what_is_read(view, wanted)

    def _is_held_back(self, view: RingView, graph: str) -> bool:
        """Whether other copies have to stay, because an owner is silent or has refused."""
        silent = any(not view.is_up(owner) for owner in view.owners(graph)) or not view.owners(graph)
        return silent or self.rightful()[graph].digest in self.was_refused

    def _check_what_is_read(self, view: RingView, wanted: dict[str, Offering]) -> None:
        claims = {
            address: records.read_head(address, records.to_text(offered)) for address, offered in self.contents.items()
        }
        rows: dict[str, Any] = {}
        for entries in self.logs[topics.PLACEMENTS].entries.values():
            rows |= {key: value for _, key, value in entries}
        found = {key: decode_replica(key, value) for key, value in rows.items() if value is not None}
        copies = {key: replica for key, replica in found.items() if replica is not None}
        holders = take_snapshot(view, claims, copies).source_of
        for graph, right in wanted.items():
            if right.digest not in self.was_refused and any(view.is_up(owner) for owner in view.owners(graph)):
                assert self.stores[holders[graph]].graphs[graph] == right.digest


class Client:
    """Takes the place of the writer's client of a node."""

    def __init__(self, world: World, name: str, store: Store) -> None:
        self._world = world
        self._name = name
        self._store = store

    def put(self, graph: str, triples: str) -> None:
        digest = offering(graph, triples).digest
        if digest in self._world.refused:
            self._world.was_refused.add(digest)
            raise RefusedError("I will not take it")
        self._suffer(lambda: self._store.graphs.__setitem__(graph, digest))

    def delete(self, graph: str) -> None:
        self._suffer(lambda: self._store.graphs.pop(graph, None))

    @property
    def takes_batches(self) -> bool:
        return self._world.takes_batches

    def write(self, writes: Sequence[GraphWrite]) -> None:
        """Do all of it, or fail in the midst."""
        if any(offering(write.graph, write.triples or "").digest in self._world.refused for write in writes):
            raise RefusedError("I will not take all of it")
        for graph, triples in writes:
            if triples is None:
                self._suffer(lambda graph=graph: self._store.graphs.pop(graph, None))  # type: ignore[misc]
            else:
                self.put(graph, triples)

    def holds(self, graphs: Iterable[str]) -> set[str]:
        return set(graphs) & self._store.graphs.keys()

    def digests(self, graphs: Iterable[str], by_value: bool = False) -> dict[str, str]:
        return {graph: self._store.graphs[graph] for graph in self.holds(graphs)}

    def _suffer(self, work: Any) -> None:
        """Do it; or fail, before it is done or after."""
        fault = self._store.fault
        if not fault:
            work()
            return
        if self._world.random.random() < 0.5:
            work()
        if fault == "fails":
            raise FailedError("status 500")
        self._store.fault = ""
        self._world.set_state(self._name, "suspect")
        raise WebError("no answer")


def write_of(electron: Electron) -> Write:
    return records.from_text(electron.value, Write)
