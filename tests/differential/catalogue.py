"""Real nodes with the graphs of a world on them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any
from urllib.parse import quote

import requests

from federation.engine import Engine
from federation.source_selection import Snapshot, Source
from tests.differential.graphs import triples
from tests.differential.reference import Reference
from tests.differential.worlds import World
from tests.helpers.waiting import eventually
from topology.gateway.replicas.ranking import fingerprint


class Catalogue:
    """The graphs of a world on nodes: each placed graph on two of them. What the nodes held before is gone.

    Args:
        nodes: The nodes' endpoints.
        world: What goes there.
        writing_to: The nodes' endpoints for writing, where those for reading are others.

    Attributes:
        world: What stands there.
        sources: The nodes, for reading.
        owners: The nodes that have a placed graph.
        placed: What placed graphs say by now, Turtle by their IRIs.
    """

    def __init__(self, nodes: Sequence[str], world: World, writing_to: Sequence[str] = ()) -> None:
        self.world = world
        self.sources = _sources(nodes)
        self.owners: dict[str, tuple[str, ...]] = {}
        self.placed: dict[str, str] = {}
        self._fingerprints: dict[str, int] = {}
        self._texts: dict[str, str] = {}
        self._tombstoned = set(world.deleted)
        self._nodes = nodes = writing_to or nodes
        self._references: dict[frozenset[str], Reference] = {}
        self._changing = threading.RLock()  # views take snapshots in threads of their own
        for node in nodes:
            update(node, "DROP ALL")
        for n, (name, turtle) in enumerate(world.placed.items()):
            self.place(name, turtle, n)
            if name in world.stale:
                put(nodes[(n + 2) % len(nodes)], name, world.stale[name])
        for name, turtle in world.deleted.items():
            put(nodes[1], name, turtle)
        for name, turtle in world.provided.items():
            put(nodes[-1], name, turtle)
        for name, turtle in world.doubled.items():
            put(nodes[0], name, turtle)
            put(nodes[-1], name, turtle)

    def place(self, name: str, turtle: str, first: int = 0) -> None:
        """Put a graph on its owners, or a new description in place of the old one.

        Args:
            name: Its IRI.
            turtle: What it says.
            first: The number of the first owner, where it has none yet.
        """
        count = len(self._nodes)
        owners = self.owners.get(name, (f"node{first % count}", f"node{(first + 1) % count}"))
        for owner in owners:
            put(self._nodes[int(owner.removeprefix("node"))], name, turtle)
        with self._changing:
            self.owners[name] = owners
            self.placed[name] = turtle
            self._texts[str(fingerprint(name, turtle))] = n_triples(turtle)
            self._fingerprints = {**self._fingerprints, name: fingerprint(name, turtle)}
            self._tombstoned.discard(name)
        self._references.clear()

    def write(self, name: str, turtle: str) -> Catalogue:
        """Replace a graph on its owners, before ``acknowledge`` lets snapshots tell so; returns the catalogue as it was."""
        before = copy(self)
        before.placed, before._references = dict(self.placed), {}
        with self._changing:
            fingerprints = self._fingerprints
            self.place(name, turtle)
            self._fingerprints = fingerprints
        return before

    def acknowledge(self) -> None:
        """Let snapshots tell what the nodes have."""
        self._fingerprints = {name: fingerprint(name, text) for name, text in self.placed.items()}

    def withdraw(self, name: str) -> None:
        """Let a placed graph be deleted; its copies go later, if ever."""
        with self._changing:
            del self.owners[name], self.placed[name]
            self._tombstoned.add(name)
        self._references.clear()

    def read_at(self, nodes: Sequence[str]) -> Catalogue:
        """The same catalogue, read at other endpoints of the nodes."""
        other = copy(self)
        other.sources = _sources(nodes)
        return other

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        """Each graph from its first owner that is not avoided, and word of the nodes whose own graphs are lost."""
        with self._changing:
            return self._snapshot(avoided)

    def _snapshot(self, avoided: frozenset[str]) -> Snapshot:
        source_of = {
            name: next((owner for owner in owners if owner not in avoided), "") for name, owners in self.owners.items()
        }
        fingerprints = {name: self._fingerprints[name] for name, holder in source_of.items() if holder}
        either = (self.sources[0].id, self.sources[-1].id)
        source_of |= {name: next((one for one in either if one not in avoided), "") for name in self.world.doubled}
        own = frozenset(self._own(avoided))
        missing = self.missing(avoided)
        unlisted = self._unlisted(avoided)
        return Snapshot(
            sources=tuple(source for source in self.sources if source.id not in avoided),
            source_of=source_of,
            tombstoned=frozenset(self._tombstoned),
            unavailable=missing,
            version=str(fingerprint(*sorted(map(str, fingerprints.items())), *sorted(own), *missing)),
            fingerprints=fingerprints,
            untracked=own,
            contents={name: str(self._fingerprints[name]) for name in self.owners},
            unlisted=tuple(sorted(unlisted)),
        )

    def content(self, graph: str, digest: str) -> str | None:
        """What a placed graph says, for a view."""
        return self._texts.get(digest)

    def missing(self, avoided: frozenset[str]) -> tuple[str, ...]:
        """The nodes through which something is lost when some are avoided."""
        lost = {name for name, owners in self.owners.items() if avoided.issuperset(owners)}
        return tuple(sorted({owner for name in lost for owner in self.owners[name]} | self._unlisted(avoided)))

    def _unlisted(self, avoided: frozenset[str]) -> set[str]:
        """The nodes through which graphs of providers are lost."""
        first, last = self.sources[0].id, self.sources[-1].id
        missing = set(avoided & {last} if self.world.provided else ())
        return missing | ({first, last} if self.world.doubled and avoided >= {first, last} else set())

    def reference(self, avoided: frozenset[str] = frozenset()) -> Reference:
        """One store with everything, but what only the nodes have that are avoided."""
        if avoided not in self._references:
            placed = {name: text for name, text in self.placed.items() if not avoided.issuperset(self.owners[name])}
            self._references[avoided] = Reference({**placed, **self._own(avoided)})
        return self._references[avoided]

    def _own(self, avoided: frozenset[str]) -> dict[str, str]:
        """What providers put on the nodes that are not avoided."""
        first, last = self.sources[0].id, self.sources[-1].id
        doubled = {} if avoided >= {first, last} else self.world.doubled
        return {**({} if last in avoided else self.world.provided), **doubled}


def _sources(nodes: Sequence[str]) -> tuple[Source, ...]:
    return tuple(Source(f"node{n}", f"{url}/sparql") for n, url in enumerate(nodes))


@contextmanager
def over_view(catalogue: Catalogue, avoided: frozenset[str] = frozenset(), **arguments: Any) -> Iterator[Engine]:
    """An engine that answers from a view of a catalogue without some nodes, once it is complete."""
    engine = Engine(contents=catalogue, **arguments)
    try:
        engine.follow(lambda failed: catalogue.snapshot(avoided | failed))
        eventually(lambda: engine.view is not None and engine.view.state == "complete", timeout=120)
        yield engine
    finally:
        engine.close()


_session = requests.Session()


def put(node: str, name: str, turtle: str) -> None:
    """Replace a graph on a node, as its writer does."""
    address = f"{node}/data?graph={quote(name, safe='')}"
    # Jena resolves the IRIs of Turtle, the absolute ones as well, but not those of N-Triples.
    media_type = "application/n-triples" if "/./" in turtle else "text/turtle"
    _done(_session.put(address, data=turtle.encode(), headers={"Content-Type": media_type}, timeout=120))


def delete(node: str, name: str) -> None:
    """Delete a graph on a node."""
    _done(_session.delete(f"{node}/data?graph={quote(name, safe='')}", timeout=120))


def n_triples(turtle: str) -> str:
    """The same as canonical N-Triples, as the fetcher writes it."""
    return "".join(f"{triple} .\n" for triple in triples(turtle))


def update(node: str, text: str) -> None:
    """Change a node's data."""
    headers = {"Content-Type": "application/sparql-update"}
    _done(_session.post(f"{node}/update", data=text.encode(), headers=headers, timeout=120))


def _done(answer: requests.Response) -> None:
    assert answer.status_code in (200, 201, 204), (answer.status_code, answer.content[:300])


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
def sandbox_processes(count: int, *arguments: str) -> Iterator[list[SandboxNode]]:
    """Sandbox nodes that can be hurt, started with some arguments."""
    with ExitStack() as stack:
        processes = [stack.enter_context(_sandbox_process(*arguments)) for _ in range(count)]
        yield [SandboxNode(process) for process in processes]


@contextmanager
def _sandbox_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "sandbox.node", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
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
