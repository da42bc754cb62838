"""Descriptions that are replaced and graphs that move while queries run: each answer shows one state of each graph, once.

The writer's steps are those of a catalogue: a claim names the new content, then node by node gets it and acknowledges it. What
the gateway knows lags behind what the nodes have.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

import pytest
import requests

from federation.engine import Engine
from tests.differential.catalogue import delete, n_triples, put, update
from tests.differential.graphs import EX, PREFIXES
from tests.helpers.waiting import eventually
from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import CompressedOffering, Node, OfferingHead, Ring, placement_key
from topology.ring import RingView

GRAPHS = [f"{EX}moving/{n}" for n in range(4)]
STATES = 3
SECONDS = 2.0
# How long the word of a write is on its way: from the node to the gateway, and from the router to a node.
ON_THE_WAY = 0.03

PROLOGUE = f"PREFIX : <{EX}> "
# Rows of each graph: which it is, and the states that its triples are of.
TEXTS = {
    "named graphs": "SELECT ?k ?s { GRAPH ?g { ?x :of ?k ; :state ?s } }",
    "the default graph": "SELECT ?k ?s { ?x :of ?k . ?x :state ?s }",
    "a chain": "SELECT ?k ?s ?t { ?x :of ?k ; :state ?s ; :next ?y . ?y :state ?t }",
    "a filter": "SELECT ?k ?s { GRAPH ?g { ?x :of ?k ; :state ?s FILTER(?s >= 0) } }",
    "one after the other": "SELECT ?k ?s ?t { ?k :is :here . ?x :of ?k ; :state ?s OPTIONAL { ?x :mark ?t } }",
    "a path": "SELECT ?k ?s ?t { ?x :of ?k ; :state ?s . ?x :next+ ?y . ?y :last ?t }",
    "everything": "SELECT ?k ?s { ?x ?p ?s ; :of ?k FILTER(?p = :state) }",
}
ROWS = 3


def turtle(graph: str, state: int) -> str:
    """Three subjects, all of one state."""
    number = graph.rpartition("/")[2]
    subjects = [f":m{number}_{n}" for n in range(ROWS)]
    body = f":k{number} :is :here . "
    for subject, following in zip(subjects, subjects[1:] + subjects[:1], strict=True):
        body += f"{subject} :of :k{number} ; :state {state} ; :mark {state} ; :next {following} . "
    return PREFIXES + body + f"{subjects[0]} :last {state} ."


class Moving:
    """Nodes, and the catalogue's knowledge of what is where, which changes."""

    def __init__(self, nodes: list[str]) -> None:
        self.nodes = {f"n{number}": url for number, url in enumerate(nodes)}
        self._listed = {name: NodeGraphs(frozenset(GRAPHS), 0.0) for name in self.nodes}
        self._epoch, self._version = 0, 0
        self.set_ring([*self.nodes][:3])
        self.directory = ReplicaSelector(lambda: self.ring, lambda: self._listed)
        self._claims: dict[str, OfferingHead] = {}
        self._copies: dict[str, Replica] = {}
        self.directory.claims, self.directory.replicas = self._claims, self._copies
        for node in nodes:
            update(node, "DROP ALL")
        for graph in GRAPHS:
            self.claim(graph, 0)
            for owner in self.ring.owners(graph):
                self.write(owner, graph, 0)

    def set_ring(self, nodes: Sequence[str]) -> None:
        """Another ring, of these nodes."""
        self._epoch += 1
        self.ring = RingView(Ring(self._epoch, tuple(Node(name, self.nodes[name]) for name in nodes), 150, 2))

    def holds(self, node: str, graph: str) -> bool:
        """Whether a node has acknowledged a graph."""
        return placement_key(node, graph) in self._copies

    def claim(self, graph: str, state: int) -> None:
        """The offering has new content."""
        old = self._claims.get(graph)
        compressed = zlib.compress(n_triples(turtle(graph, state)).encode())
        new = CompressedOffering(graph=graph, digest=str(state), claimed_at=1, compressed=compressed)
        self._claims[graph] = new
        self.directory.claim_changed(graph, old, new)
        self._version += 1

    def write(self, node: str, graph: str, state: int) -> None:
        """A node gets it, and a while later the gateway knows."""
        put(self.nodes[node], graph, turtle(graph, state))
        time.sleep(ON_THE_WAY)
        self._placed(node, graph, Replica(str(state), self._version))

    def delete(self, node: str, graph: str) -> None:
        """A node deletes it, and a while later the gateway knows."""
        delete(self.nodes[node], graph)
        time.sleep(ON_THE_WAY)
        self._placed(node, graph, None)

    def rebalance(self) -> None:
        """Each graph to its new owners first, and then away from the others."""
        self.directory.nodes_changed()
        for graph in GRAPHS:
            state = int(self._claims[graph].digest)
            owners = self.ring.owners(graph)
            for owner in owners:
                if not self.holds(owner, graph):
                    self.write(owner, graph, state)
            for other in self.nodes:
                if other not in owners and self.holds(other, graph):
                    time.sleep(ON_THE_WAY)
                    self.delete(other, graph)

    def _placed(self, node: str, graph: str, copy: Replica | None) -> None:
        key = placement_key(node, graph)
        old = self._copies.get(key)
        if copy is None:
            del self._copies[key]
        else:
            self._copies[key] = copy
        self.directory.replica_changed(key, old, copy)


Asking = Callable[[str, Moving], "tuple[list[dict[str, str]], tuple[str, ...]]"]


@pytest.fixture
def moving(five_sandbox_nodes: list[str]) -> Iterator[Moving]:
    yield Moving(five_sandbox_nodes[:4])


@pytest.fixture(scope="module", params=["fresh", "view", "slow nodes"])
def asking(request: pytest.FixtureRequest, five_sandbox_nodes: list[str]) -> Iterator[Asking]:
    """Asks a query; its solutions, and what is missing from them."""
    engine = Engine()
    views: dict[Moving, Engine] = {}
    starting = threading.Lock()

    def ask(text: str, moving: Moving) -> tuple[list[dict[str, str]], tuple[str, ...]]:
        asked = engine
        if request.param == "view":
            with starting:
                if moving not in views:  # it is built while queries come
                    views[moving] = Engine(contents=moving.directory)
                    views[moving].follow(moving.directory.snapshot)
                asked = views[moving]
        answer = asked.query_with_failover(PROLOGUE + text, moving.directory.snapshot)
        bindings = json.loads(answer.body)["results"]["bindings"]
        rows = [{name: term["value"] for name, term in row.items()} for row in bindings]
        return rows, answer.missing

    try:
        if request.param == "slow nodes":
            with under_way(lambda stop: _slow_down(five_sandbox_nodes[:4], stop)):
                yield ask
        else:
            yield ask
        for view in views.values():
            eventually(lambda view=view: view.view.state == "complete", timeout=120)
    finally:
        for one in (engine, *views.values()):
            one.close()


def _slow_down(nodes: Sequence[str], stop: threading.Event) -> None:
    """One node after the other is slow for a while, so that others are asked in its place."""
    for node in cycle(nodes):
        faults = node.removesuffix("/catalogue") + "/faults"
        slow = {"delay": 0.4, "paths": ["/catalogue/sparql"]}
        requests.put(faults, json=slow, timeout=120).raise_for_status()
        stop.wait(0.6)
        requests.put(faults, json={}, timeout=120).raise_for_status()
        if stop.wait(0.2):
            return


@contextmanager
def under_way(work: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Something that goes on in a thread while the block runs; the event ends it."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(work, stop)
        try:
            yield stop
        finally:
            stop.set()
            future.result(120)


def mixed(rows: list[dict[str, str]]) -> dict[str, list[set[str]]]:
    """The graphs of which an answer shows more than one state, or not each row once."""
    states: dict[str, list[set[str]]] = defaultdict(list)
    for row in rows:
        states[row["k"]].append({value for name, value in row.items() if name in "st"})
    wrong = {k: found for k, found in states.items() if len(set().union(*found)) != 1 or len(found) != ROWS}
    return wrong | {f"{EX}k{n}": [] for n in range(len(GRAPHS)) if f"{EX}k{n}" not in states}


def check(asking: Asking, moving: Moving, enough: Callable[[], bool]) -> None:
    """Ask for a while, from two threads, and look at every answer, until enough has changed meanwhile.

    A node that is slow on a machine that is busy, too, may be given up. Then the answer says so, and may lack whole graphs.
    """
    until = time.monotonic() + SECONDS

    def ask_on(_: int) -> tuple[int, list[object]]:
        wrong: list[object] = []
        whole, asked = 0, 0
        while time.monotonic() < until or asked < len(TEXTS) or whole < len(TEXTS) or not enough():
            assert time.monotonic() < until + 300, f"{asked} answers, {whole} of them complete"
            for name, text in TEXTS.items():
                rows, missing = asking(text, moving)
                asked, whole = asked + 1, whole + (not missing)
                found = mixed(rows)
                if any(found.values()) or (found and not missing):
                    wrong.append((name, found, missing))
        return whole, wrong

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(ask_on, range(2)))
    wrong = [one for _, found in answers for one in found]
    assert not wrong, wrong[:5]


def test_a_description_is_seen_as_it_was_or_as_it_is(asking: Asking, moving: Moving) -> None:
    rounds = 0

    def replace(stop: threading.Event) -> None:
        nonlocal rounds
        while not stop.is_set():
            rounds += 1
            for graph in GRAPHS:
                state = rounds % STATES  # so that what was true once is true again
                moving.claim(graph, state)
                for owner in moving.ring.owners(graph):
                    moving.write(owner, graph, state)

    with under_way(replace):
        check(asking, moving, lambda: rounds > 2)


def test_a_graph_that_moves_is_seen_once(asking: Asking, moving: Moving) -> None:
    """Its new owners get it first, and when all of them have acknowledged it, the others are told to delete theirs."""
    rounds = 0

    def rebalance(stop: threading.Event) -> None:
        nonlocal rounds
        while not stop.is_set():
            rounds += 1
            moving.set_ring([*moving.nodes][: 4 if rounds % 2 else 3])
            moving.rebalance()

    with under_way(rebalance):
        check(asking, moving, lambda: rounds > 2)
