"""Nodes that come up are compared with all others by a graph that stands on one store alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import pytest

from topology.clients.node import GraphWrite
from topology.clients.node_status import FailedError
from topology.rdf.graph_name import MARKERS
from topology.rdf.offering_graph import digest
from topology.same_store import SameStores

Store = dict[str, str]


class Client:
    """A node's client that reads and writes a store in memory."""

    def __init__(self, store: Store, by_update: bool = True) -> None:
        self.store = store
        self.takes_batches = by_update
        self.keeps_offerings_only = not by_update
        self.fails: Collection[str] = ()
        self.error: Exception = FailedError("no")
        self.puts: list[str] = []

    def write(self, writes: Sequence[GraphWrite]) -> None:
        for graph, triples in writes:
            self.put(graph, triples or "")

    def put(self, graph: str, triples: str) -> None:
        self._check("put")
        self.store[graph] = triples
        self.puts.append(triples)

    def delete(self, graph: str) -> None:
        self._check("delete")
        self.store.pop(graph, None)

    def digests(self, graphs: Iterable[str]) -> dict[str, str]:
        self._check("digests")
        return {graph: digest(self.store[graph]) for graph in graphs if graph in self.store}

    def _check(self, name: str) -> None:
        if name in self.fails:
            raise self.error


Follow = Callable[..., None]


@pytest.fixture
def stores() -> Iterator[SameStores]:
    stores = SameStores(interval=30)
    yield stores
    stores.close()


@pytest.fixture
def follow(stores: SameStores) -> Follow:
    """Give a function that compares nodes, and waits for the result."""

    def follow(nodes: dict[str, Client], placed: Collection[str] = (), now: float = 0.0) -> None:
        deadline = time.monotonic() + 120
        stores.follow(nodes, placed, now)  # type: ignore[arg-type]
        while stores._running is not None:
            assert time.monotonic() < deadline
            stores.follow(nodes, placed, now)  # type: ignore[arg-type]

    return follow


def same(stores: SameStores, nodes: Iterable[str]) -> dict[str, str]:
    return {node: stores.same_as(node) for node in nodes if stores.same_as(node)}


@pytest.mark.parametrize("by_update", [True, False])
def test_follow_of_nodes_with_one_store_keeps_the_first_one(
    stores: SameStores, follow: Follow, by_update: bool
) -> None:
    shared: Store = {"urn:own": "content"}
    nodes = {"a": Client(shared, by_update), "b": Client({}), "c": Client(shared), "d": Client(shared)}

    follow(nodes)

    assert same(stores, nodes) == {"c": "a", "d": "a"}
    assert all(stores.has_compared(node, client) for node, client in nodes.items())  # type: ignore[arg-type]
    assert shared == {"urn:own": "content"}
    assert all("Offering" in triples for triples in nodes["a"].puts) is not by_update


def test_follow_compares_a_node_again_when_it_has_been_silent(stores: SameStores, follow: Follow) -> None:
    nodes = {"a": Client({}), "b": Client({})}
    follow(nodes)
    moved = {**nodes, "b": Client(nodes["a"].store)}
    assert not stores.has_compared("b", moved["b"])  # type: ignore[arg-type]

    follow(moved)

    assert same(stores, nodes) == {"b": "a"}
    assert len(nodes["a"].puts) == 1  # it has not been silent


def test_follow_lets_a_node_wait_for_the_one_whose_place_it_would_take(stores: SameStores, follow: Follow) -> None:
    nodes = {"a": Client({}), "b": Client({})}
    nodes["b"].store = nodes["a"].store
    follow(nodes)

    back = {"b": Client(nodes["a"].store)}
    follow(back, placed=["a"], now=1e6)
    assert same(stores, nodes) == {"b": "a"}
    assert not stores.has_compared("b", back["b"])  # type: ignore[arg-type]

    follow(back, now=1e6)
    assert same(stores, nodes) == {}
    assert stores.has_compared("b", back["b"])  # type: ignore[arg-type]


def test_follow_looks_once_more_after_the_interval(stores: SameStores, follow: Follow) -> None:
    nodes = {"a": Client({}), "b": Client({})}
    nodes["b"].store = nodes["a"].store
    follow(nodes)
    nodes["b"].store = {}

    follow(nodes, placed=["a"], now=29)
    assert same(stores, nodes) == {"b": "a"}
    follow(nodes, placed=["a"], now=30)

    assert same(stores, nodes) == {}


@pytest.mark.parametrize("error", [FailedError("no"), ValueError("was not foreseen")], ids=["failed", "unforeseen"])
@pytest.mark.parametrize("fails", ["put", "digests", "delete"])
def test_follow_counts_nodes_that_fail_as_stores_of_their_own(
    stores: SameStores, follow: Follow, fails: str, error: Exception
) -> None:
    nodes = {"a": Client({}), "b": Client({}), "c": Client({})}
    nodes["c"].store = nodes["a"].store
    nodes["b"].fails, nodes["b"].error = [fails], error

    follow(nodes)

    assert same(stores, nodes) == {"c": "a"}
    assert all(stores.has_compared(node, client) for node, client in nodes.items())  # type: ignore[arg-type]


def test_follow_takes_away_a_marker_that_a_crash_has_left(stores: SameStores, follow: Follow) -> None:
    nodes = {"a": Client({}), "b": Client({})}
    nodes["a"].fails = ["delete"]
    follow(nodes)
    (left,) = nodes["a"].store
    assert left.startswith(MARKERS)
    again = {"a": Client(nodes["a"].store), "b": Client(nodes["b"].store)}

    follow(again)

    assert nodes["a"].store == {}
    assert same(stores, nodes) == {}
