"""Graphs that providers put on nodes themselves are told apart from those that the catalogue placed."""

from __future__ import annotations

import pytest

from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.unmanaged import UnmanagedGraphs


def lists(**graphs: str | None) -> dict[str, NodeGraphs]:
    """Make the lists of nodes; each letter is a graph."""
    return {node: NodeGraphs(None if letters is None else frozenset(letters)) for node, letters in graphs.items()}


@pytest.fixture
def known() -> set[str]:
    return set("xy")


@pytest.fixture
def unmanaged(known: set[str]) -> UnmanagedGraphs:
    return UnmanagedGraphs(known.__contains__)


def test_graphs_that_the_catalogue_does_not_know_are_unmanaged(unmanaged: UnmanagedGraphs) -> None:
    unmanaged.refresh(lists(one="axb", two="by"))

    assert (unmanaged.of("one"), unmanaged.of("two"), unmanaged.of("three")) == (set("ab"), set("b"), set())
    assert unmanaged.nodes_by_graph(["one", "two", "three"]) == {"a": ["one"], "b": ["one", "two"]}
    assert unmanaged.nodes_by_graph(["two"]) == {"b": ["two"]}


def test_graph_that_the_catalogue_forgets_stays_managed_until_its_node_lists_again(
    unmanaged: UnmanagedGraphs, known: set[str]
) -> None:
    before = lists(one="x")
    unmanaged.refresh(before)
    known.remove("x")
    unmanaged.refresh(before)
    assert unmanaged.of("one") == set()

    unmanaged.refresh(lists(one="x"))
    assert unmanaged.of("one") == {"x"}


def test_graph_that_the_catalogue_comes_to_know_is_managed_and_may_be_unmanaged_again(
    unmanaged: UnmanagedGraphs,
) -> None:
    unmanaged.refresh(lists(one="ab", two="a"))
    unmanaged.discard("a")
    assert (unmanaged.of("one"), unmanaged.of("two")) == ({"b"}, set())

    unmanaged.restore("a", ["two", "three"])
    assert (unmanaged.of("one"), unmanaged.of("two"), unmanaged.of("three")) == ({"b"}, {"a"}, set())
    unmanaged.restore("never listed", ["one"])
    assert unmanaged.of("one") == {"b"}


def test_node_that_leaves_the_ring_has_listed_nothing(unmanaged: UnmanagedGraphs) -> None:
    unmanaged.refresh(lists(one="a", two="b"))
    assert unmanaged.was_listed("one")
    unmanaged.refresh(lists(two="b"))

    assert not unmanaged.was_listed("one")
    assert unmanaged.of("one") == set()
    assert unmanaged.nodes_by_graph(["one", "two"]) == {"b": ["two"]}


def test_node_that_cannot_list_now_keeps_the_list_before(unmanaged: UnmanagedGraphs) -> None:
    unmanaged.refresh(lists(one="a", two=None))
    unmanaged.refresh(lists(one=None, two=None))

    assert unmanaged.of("one") == {"a"}
    assert unmanaged.was_listed("one")
    assert not unmanaged.was_listed("two")
