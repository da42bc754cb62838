"""Missing copies are counted: graphs that too few nodes acknowledged, or that nodes have lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.missing import MissingCopies, MissingCount, Shortage, Shortages
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import REFUSED_DELETE, Node, OfferingHead, Ring, placement_key
from topology.ring import RingView

G = "https://p.example/1"
OTHERS = [f"https://p.example/{number}" for number in range(2, 30)]


class Catalogue:
    """A selector over a ring of nodes that are up, and the graphs that they list."""

    def __init__(self, *nodes: Node, replicas: int = 2) -> None:
        self.epoch = 1
        self.replicas = replicas
        self.change(*(nodes or (node("a"), node("b"), node("c"))))
        self.listed: dict[str, NodeGraphs] = {}
        self.claims: dict[str, OfferingHead] = {}
        self.copies: dict[str, Replica] = {}
        self.selector = ReplicaSelector(lambda: self.ring, lambda: dict(self.listed))
        self.selector.claims, self.selector.replicas = self.claims, self.copies

    def change(self, *nodes: Node) -> None:
        self.epoch += 1
        self.ring = RingView(Ring(self.epoch, nodes, 50, self.replicas))

    def list(self, graph: str = G, digest: str = "d", claimed_at: int = 1) -> None:
        self.claims[graph] = OfferingHead(graph=graph, digest=digest, claimed_at=claimed_at)
        self.selector.claim_changed(graph, None, self.claims[graph])

    def place(self, *names: str, graph: str = G, digest: str = "d", refused: str = "") -> None:
        for name in names:
            key = placement_key(name, graph)
            before, self.copies[key] = self.copies.get(key), Replica(digest, 1, refused)
            self.selector.replica_changed(key, before, self.copies[key])

    def stand(self, graph: str = G) -> None:
        self.list(graph)
        self.place(*self.ring.owners(graph), graph=graph)

    @property
    def missing(self) -> tuple[int, dict[str, int]]:
        found = self.count()
        return found.total, dict(found.by_node)

    @property
    def refused(self) -> dict[str, int]:
        return dict(self.count().refused)

    def count(self) -> MissingCopies:
        self.selector.nodes_changed()
        self.selector._missing_count._good_until = 0.0
        return self.selector.missing()


def node(name: str, state: Any = "up", **more: Any) -> Node:
    return Node(name, f"http://{name}.invalid/catalogue", state, 1, **more)


@pytest.fixture
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    for graph in (G, *OTHERS):
        catalogue.stand(graph)
    return catalogue


def test_missing_is_nothing_in_a_healthy_catalogue(catalogue: Catalogue) -> None:
    assert catalogue.missing == (0, {})


def test_missing_counts_offerings_that_were_never_placed() -> None:
    catalogue = Catalogue()
    catalogue.list()

    assert catalogue.missing == (2, dict.fromkeys(catalogue.ring.owners(G), 1))


def test_missing_counts_no_new_offering_for_some_seconds() -> None:
    catalogue = Catalogue()
    catalogue.list(claimed_at=int(time.time() * 1000))
    assert catalogue.missing == (0, {})

    catalogue.list(claimed_at=int((time.time() - 11) * 1000))

    assert catalogue.missing[0] == 2


def test_missing_counts_stale_copies_only_if_their_nodes_do_not_get_the_new_ones_for_some_time(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one, other = catalogue.ring.owners(G)
    catalogue.list(digest="new")
    assert catalogue.missing == (0, {}), "the old copies serve until the new ones are there"
    now += 9
    catalogue.list(digest="newer")
    assert catalogue.missing == (0, {})
    now += 9
    assert catalogue.missing == (0, {}), "it has changed again"

    now += 2
    assert catalogue.missing == (2, {one: 1, other: 1})
    catalogue.place(one, digest="newer")
    assert catalogue.missing == (1, {other: 1})
    catalogue.place(other, digest="newer")
    assert catalogue.missing == (0, {})


def test_missing_counts_copies_whose_content_is_unknown(catalogue: Catalogue) -> None:
    one, _ = catalogue.ring.owners(G)
    catalogue.place(one, digest="")

    assert catalogue.missing == (1, {one: 1})


def test_missing_counts_no_copy_whose_content_is_in_doubt(catalogue: Catalogue) -> None:
    """It is there, and many a server has only written a literal in its own form."""
    one, _ = catalogue.ring.owners(G)
    catalogue.copies[placement_key(one, G)] = Replica("", 1, in_doubt=True)
    catalogue.selector.changed()

    assert catalogue.missing == (0, {})


def test_missing_counts_no_copy_that_a_node_refuses(catalogue: Catalogue) -> None:
    one, _ = catalogue.ring.owners(G)
    catalogue.place(one, digest="", refused="d")

    assert catalogue.missing == (0, {})
    assert catalogue.refused == {one: 1}
    assert catalogue.count().at_fault == frozenset(), "the description is at fault"


def test_node_that_refuses_more_graphs_than_it_takes_is_at_fault(catalogue: Catalogue) -> None:
    graphs = [graph for graph in (G, *OTHERS) if "a" in catalogue.ring.owners(graph)]
    half = len(graphs) // 2
    for graph in graphs[:half]:
        catalogue.place("a", graph=graph, digest="", refused="d")
    assert catalogue.count().at_fault == frozenset()

    catalogue.place("a", graph=graphs[half], digest="", refused="d")
    catalogue.place("a", graph=graphs[-1], digest="", refused="d")

    assert catalogue.refused == {"a": half + 2}
    assert catalogue.count().at_fault == {"a"}


def test_refused_counts_no_content_that_is_no_longer_current(catalogue: Catalogue) -> None:
    one, _ = catalogue.ring.owners(G)
    catalogue.place(one, digest="", refused="another")

    assert catalogue.refused == {}


def test_refused_counts_no_graph_of_a_nodes_owner(catalogue: Catalogue) -> None:
    one, _ = catalogue.ring.owners(G)
    catalogue.copies[placement_key(one, G)] = Replica("", 1, refused="d", foreign=True)
    catalogue.selector.changed()

    assert (catalogue.missing, catalogue.refused) == ((0, {}), {})


def test_refused_counts_deletions(catalogue: Catalogue) -> None:
    one, other = catalogue.ring.owners(G)
    del catalogue.claims[G]
    del catalogue.copies[placement_key(other, G)]
    catalogue.place(one, digest="d", refused=REFUSED_DELETE)
    catalogue.selector.changed()

    assert (catalogue.missing, catalogue.refused) == ((0, {}), {one: 1})
    assert catalogue.count().at_fault == {one}, "a description that was withdrawn can be read there"


@pytest.mark.parametrize("replicas", [1, 2])
def test_missing_wants_no_more_copies_than_live_nodes(replicas: int) -> None:
    catalogue = Catalogue(node("a"), node("b", "down"), replicas=replicas)
    catalogue.stand()

    assert catalogue.missing == (0, {})


def test_missing_counts_copies_of_nodes_that_went_down(catalogue: Catalogue) -> None:
    held = sum("a" in catalogue.ring.owners(graph) for graph in (G, *OTHERS))

    catalogue.change(node("a", "down"), node("b"), node("c"))

    assert catalogue.missing[0] == held


def test_missing_counts_no_copies_of_suspect_and_draining_nodes(catalogue: Catalogue) -> None:
    catalogue.change(node("a", "suspect"), node("b", draining=True), node("c"), node("d"))

    assert catalogue.missing == (0, {})


def test_missing_counts_copies_that_a_node_has_lost(catalogue: Catalogue) -> None:
    held = sum("a" in catalogue.ring.owners(graph) for graph in (G, *OTHERS))
    catalogue.selector.snapshot()
    catalogue.listed["a"] = NodeGraphs(frozenset(), time.monotonic())

    assert catalogue.missing == (held, {"a": held})
    assert catalogue.selector.lost_by_node() == {"a": held}

    catalogue.listed["a"] = NodeGraphs(frozenset([G, *OTHERS]), time.monotonic())

    assert catalogue.missing == (0, {})
    assert catalogue.selector.lost_by_node() == {}


def test_missing_counts_nothing_that_was_withdrawn(catalogue: Catalogue) -> None:
    for graph in (G, *OTHERS):
        catalogue.selector.claim_changed(graph, catalogue.claims.pop(graph), None)
    catalogue.listed["a"] = NodeGraphs(frozenset(), time.monotonic())

    assert catalogue.missing == (0, {})
    assert catalogue.selector.lost_by_node() == {}


def test_count_that_takes_long_is_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, clock = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def shortages() -> Shortages:
        clock[0] += 0.05
        made.append(clock[0])
        return Shortages([Shortage(2, ["a", "b"], [], []), Shortage(1, ["b"], ["c"], [])], {"c": 1})

    count = MissingCount(shortages)

    assert [count() for _ in range(5)] == [MissingCopies(3, {"a": 1, "b": 2}, {"c": 1})] * 5
    assert len(made) == 1
