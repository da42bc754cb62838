"""Real nodes with the graphs of a world on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from urllib.parse import quote

import urllib3

from tests.differential.reference import Reference
from tests.differential.worlds import World
from topology.federation.sources import Snapshot, Source


class Catalogue:
    """The graphs of a world on nodes: each placed graph on two of them. What the nodes held before is gone.

    Args:
        nodes: The nodes' endpoints.
        world: What goes there.
        version: What its snapshots are called.
    """

    def __init__(self, nodes: Sequence[str], world: World, version: str = "1") -> None:
        self.world = world
        self.version = version
        self.sources = tuple(Source(f"node{n}", f"{url}/sparql") for n, url in enumerate(nodes))
        self.owners: dict[str, tuple[str, ...]] = {}
        self.reference = lru_cache(self._reference)
        for node in nodes:
            update(node, "DROP ALL")
        for n, (name, turtle) in enumerate(world.placed.items()):
            owners = (n % len(nodes), (n + 1) % len(nodes))
            self.owners[name] = tuple(f"node{owner}" for owner in owners)
            for owner in owners:
                put(nodes[owner], name, turtle)
            if name in world.stale:
                put(nodes[(n + 2) % len(nodes)], name, world.stale[name])
        for name, turtle in world.deleted.items():
            put(nodes[1], name, turtle)
        for name, turtle in world.provided.items():
            put(nodes[-1], name, turtle)
        for name, turtle in world.provided_twice.items():
            put(nodes[0], name, turtle)
            put(nodes[-1], name, turtle)

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        """Each graph from its first owner that is not avoided, and word of the nodes whose own graphs are lost."""
        holders = {
            name: next((owner for owner in owners if owner not in avoided), "") for name, owners in self.owners.items()
        }
        return Snapshot(
            tuple(source for source in self.sources if source.id not in avoided),
            holders,
            frozenset(self.world.deleted),
            self.missing(avoided),
            self.version,
        )

    def lost(self, avoided: frozenset[str]) -> frozenset[str]:
        """The graphs that no node has but those that are avoided."""
        last = self.sources[-1].id
        lost = {name for name, owners in self.owners.items() if avoided.issuperset(owners)}
        if last in avoided:
            lost.update(self.world.provided)
            if self.sources[0].id in avoided:
                lost.update(self.world.provided_twice)
        return frozenset(lost)

    def missing(self, avoided: frozenset[str]) -> tuple[str, ...]:
        """The nodes through which graphs are lost."""
        lost = self.lost(avoided)
        missing = {owner for name in lost for owner in self.owners.get(name, ())}
        if lost.intersection(self.world.provided):
            missing.add(self.sources[-1].id)
        if lost.intersection(self.world.provided_twice):
            missing |= {self.sources[0].id, self.sources[-1].id}
        return tuple(sorted(missing))

    def _reference(self, avoided: frozenset[str] = frozenset()) -> Reference:
        """One store with everything, but what is lost without some nodes."""
        return Reference(self.world.shown(self.lost(avoided)))


_client = urllib3.PoolManager(retries=False, timeout=30)


def put(node: str, name: str, turtle: str) -> None:
    """Replace a graph on a node, as its writer does."""
    address = f"{node}/data?graph={quote(name, safe='')}"
    _done(_client.request("PUT", address, body=turtle.encode(), headers={"Content-Type": "text/turtle"}))


def delete(node: str, name: str) -> None:
    """Delete a graph on a node."""
    _done(_client.request("DELETE", f"{node}/data?graph={quote(name, safe='')}"))


def update(node: str, text: str) -> None:
    """Change a node's data."""
    headers = {"Content-Type": "application/sparql-update"}
    _done(_client.request("POST", f"{node}/update", body=text.encode(), headers=headers))


def _done(answer: urllib3.BaseHTTPResponse) -> None:
    assert answer.status in (200, 201, 204), (answer.status, answer.data[:300])


class SandboxNode:
    """A sandbox node as a process of its own.

    Attributes:
        process: It.
        url: Its endpoint.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        line = process.stdout.readline().split()
        assert line[:1] == ["node"], f"the sandbox node says {line} where its address was expected"
        self.url = line[1]


@contextmanager
def sandbox_nodes(count: int) -> Iterator[list[str]]:
    """Sandbox nodes as processes; their endpoints."""
    with sandbox_processes(count) as nodes:
        yield [node.url for node in nodes]


@contextmanager
def sandbox_processes(count: int) -> Iterator[list[SandboxNode]]:
    """Sandbox nodes that can be hurt."""
    with ExitStack() as stack:
        processes = [stack.enter_context(_sandbox_process()) for _ in range(count)]
        yield [SandboxNode(process) for process in processes]


@contextmanager
def _sandbox_process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "topology.sandbox.node", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()
