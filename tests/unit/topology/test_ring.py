"""The ring: who owns a graph follows from the nodes alone, and moves as little as can be."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topology.records import Node, NodeState, Ring
from topology.ring import HashRing, RingView

GRAPHS = [f"https://provider-{number % 17}.example/offerings/{number}" for number in range(2000)]
NODE_IDS = st.lists(st.text(min_size=1, max_size=12), min_size=0, max_size=8, unique=True)


def owners_of(nodes: Iterable[str], count: int = 1, graphs: Iterable[str] = GRAPHS) -> dict[str, tuple[str, ...]]:
    ring = HashRing(nodes, 150)
    return {graph: ring.owners(graph, count) for graph in graphs}


def ring(*nodes: Node, replicas: int = 2, epoch: int = 1) -> Ring:
    return Ring(epoch, nodes, 150, replicas)


def node(name: str, state: NodeState = "up") -> Node:
    return Node(name, f"http://{name}/catalogue", state)


@given(nodes=NODE_IDS, count=st.integers(0, 10), key=st.text(), points=st.integers(1, 20))
def test_owners_are_distinct_nodes_as_many_as_wanted_or_there(
    nodes: list[str], count: int, key: str, points: int
) -> None:
    owners = HashRing(nodes, points).owners(key, count)

    assert len(owners) == len(set(owners)) == min(count, len(nodes))
    assert set(owners) <= set(nodes)


@given(data=st.data(), nodes=NODE_IDS, key=st.text())
def test_the_order_of_the_nodes_does_not_matter(data: st.DataObject, nodes: list[str], key: str) -> None:
    shuffled = data.draw(st.permutations(nodes))

    assert HashRing(nodes, 10).owners(key, 3) == HashRing([*shuffled, *shuffled], 10).owners(key, 3)


@given(nodes=st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=8, unique=True), key=st.text())
def test_more_copies_only_add_owners(nodes: list[str], key: str) -> None:
    ring = HashRing(nodes, 10)

    assert ring.owners(key, 3)[:2] == ring.owners(key, 2)


@settings(max_examples=5, deadline=None)
@given(count=st.integers(2, 10), replicas=st.integers(1, 3))
def test_a_node_that_joins_takes_about_its_share_and_nothing_moves_between_the_others(
    count: int, replicas: int
) -> None:
    nodes = [f"node_{number}" for number in range(count)]
    before, after = owners_of(nodes, replicas), owners_of([*nodes, "new"], replicas)

    for graph in GRAPHS:
        kept = [owner for owner in after[graph] if owner != "new"]
        assert kept == list(before[graph])[: len(kept)]
    moved = sum("new" in owners for owners in after.values()) / len(GRAPHS)
    share = min(1, replicas / (count + 1))
    assert 0.6 * share <= moved <= 1.4 * share


@settings(max_examples=5, deadline=None)
@given(count=st.integers(2, 10))
def test_a_node_that_goes_gives_up_its_share_and_nothing_else_moves(count: int) -> None:
    nodes = [f"node_{number}" for number in range(count)]
    before, after = owners_of(nodes, 2), owners_of(nodes[1:], 2)

    for graph in GRAPHS:
        assert set(before[graph]) - {"node_0"} <= set(after[graph])
    moved = sum(before[graph] != after[graph] for graph in GRAPHS)
    assert moved == sum("node_0" in owners for owners in before.values())


@pytest.mark.parametrize("count", [3, 10, 40, 200])
def test_owners_with_150_virtual_nodes_load_no_node_over_a_tenth_above_the_mean(count: int) -> None:
    nodes = [f"node_{number}" for number in range(count)]
    graphs = [f"https://p.example/{number}" for number in range(max(20_000, 400 * count))]
    held = Counter(owner for owners in owners_of(nodes, 2, graphs).values() for owner in owners)
    mean = 2 * len(graphs) / count
    chance = 3 * (count / len(graphs) / 2) ** 0.5  # the fullest of many nodes, were each graph placed by dice

    assert len(held) == count
    assert max(held.values()) <= (1.05 + chance) * mean
    assert min(held.values()) >= (0.94 - chance) * mean


@settings(max_examples=10, deadline=None)
@given(weight=st.sampled_from([0.25, 0.5, 2.0, 3.0]), count=st.integers(4, 9))
def test_owners_of_a_weighted_node_are_in_proportion(weight: float, count: int) -> None:
    weights = {f"node_{number}": 1.0 for number in range(count)} | {"heavy": weight}
    ring = HashRing(weights, 150)
    held = Counter(ring.owners(graph, 1)[0] for graph in GRAPHS)

    share = weight / (count + weight)
    assert abs(held["heavy"] / len(GRAPHS) - share) <= 0.08 * share + 4 * (share / len(GRAPHS)) ** 0.5


@settings(max_examples=5, deadline=None)
@given(count=st.integers(2, 8), heavier=st.sampled_from([1.5, 2.0, 4.0]))
def test_owners_when_a_node_gains_weight_change_only_towards_it(count: int, heavier: float) -> None:
    nodes = {f"node_{number}": 1.0 for number in range(count)}
    before, after = HashRing(nodes, 150), HashRing(nodes | {"node_0": heavier}, 150)

    for graph in GRAPHS[:500]:
        assert set(after.owners(graph, 2)) - set(before.owners(graph, 2)) <= {"node_0"}


def test_the_circle_shows_each_node_by_its_share() -> None:
    ring = HashRing({"a": 1.0, "b": 1.0, "c": 2.0}, 150)

    shown = Counter(ring.next_nodes(10_000))

    assert {node: number / 10_000 for node, number in shown.items()} == pytest.approx(
        {"a": 0.25, "b": 0.25, "c": 0.5}, abs=0.05
    )
    assert ring.next_nodes(4) == tuple(ring.next_nodes(8)[::2])
    assert HashRing([], 150).next_nodes(360) == ()
    assert set(HashRing(["a"], 1).next_nodes(360)) == {"a"}


def test_ids_that_end_in_numbers_have_places_of_their_own() -> None:
    """No virtual node of `a` may be one of `a#1`."""
    assert len(set(HashRing(["a", "a#1", "a#1#1"], 100)._points)) == 300


def test_owners_are_the_nodes_soonest_after_a_probe_on_every_machine_and_in_every_version() -> None:
    """Data would move for nothing if another release, or another instance, put nodes elsewhere."""

    def numbers(content: bytes) -> list[int]:
        return [int.from_bytes(content[at : at + 8], "big") for at in range(0, len(content), 8)]

    def distance(graph: str, node: str) -> int:
        probes = numbers(hashlib.blake2b(graph.encode()).digest())
        points = numbers(hashlib.shake_128(node.encode()).digest(8 * 20))
        return min((point - probe) % 2**64 for probe in probes for point in points)

    nodes = ["node_1", "https://provider.example:3030/catalogue", "node 3", "nœud"]
    ring = HashRing(nodes, 20)
    for graph in GRAPHS[:50]:
        assert list(ring.owners(graph, 3)) == sorted(nodes, key=lambda node: distance(graph, node))[:3]


def test_ring_view_of_200_nodes_is_made_within_a_moment() -> None:
    nodes = tuple(node(f"node_{number}") for number in range(200))
    started = time.process_time()
    RingView(ring(*nodes))

    assert time.process_time() - started < 5


def test_draining_nodes_own_nothing_and_are_up() -> None:
    view = RingView(ring(node("a"), msgspec.structs.replace(node("b"), draining=True), node("c")))

    assert {owner for graph in GRAPHS for owner in view.owners(graph)} == {"a", "c"}
    assert view.is_up("b")


def test_a_ring_of_nobody_owns_nothing() -> None:
    view = RingView(None)

    assert (view.epoch, view.nodes) == (0, {})
    assert view.owners(GRAPHS[0]) == ()
    assert not view.is_up("node_1")


def test_suspect_nodes_keep_their_place() -> None:
    up = RingView(ring(node("a"), node("b"), node("c")))
    silent = RingView(ring(node("a"), node("b", "suspect"), node("c")))

    assert [up.owners(graph) for graph in GRAPHS] == [silent.owners(graph) for graph in GRAPHS]
    assert not silent.is_up("b")


def test_down_nodes_lose_their_place_and_others_take_it() -> None:
    view = RingView(ring(node("a"), node("b", "down"), node("c"), node("d")))

    assert {owner for graph in GRAPHS for owner in view.owners(graph)} == {"a", "c", "d"}
    assert all(len(view.owners(graph)) == 2 for graph in GRAPHS)
    assert "b" in view.nodes
    assert not view.is_up("b")


def test_with_all_nodes_down_nobody_owns_anything() -> None:
    assert RingView(ring(node("a", "down"), node("b", "down"))).owners(GRAPHS[0]) == ()


def test_with_fewer_nodes_than_copies_every_node_owns_everything() -> None:
    assert set(RingView(ring(node("a"), node("b"), replicas=5)).owners(GRAPHS[0])) == {"a", "b"}


def test_asking_twice_gives_the_same() -> None:
    view = RingView(ring(node("a"), node("b"), node("c")))

    assert view.owners(GRAPHS[0]) == view.owners(GRAPHS[0])


def test_only_a_node_that_answers_is_up() -> None:
    view = RingView(ring(node("a"), node("b", "suspect"), node("c", "down")))

    assert [view.is_up(name) for name in ("a", "b", "c", "d")] == [True, False, False, False]
