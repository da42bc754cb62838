"""Where graphs are read from that nobody placed: each from one node, the same one everywhere; and never from a guess."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.source_selection import Source
from tests.helpers.waiting import eventually
from topology.gateway.fixed.fixed_selector import FixedReplicaSelector
from topology.gateway.offering_list import ListedOffering
from topology.gateway.replicas.inventory import NodeGraphs
from topology.records import Node, NodeState, Ring
from topology.ring import RingView


class Nodes:
    """Nodes as a test says they are; each is up unless something else is said."""

    def __init__(self, **listings: str | None) -> None:
        self.states: dict[str, NodeState] = dict.fromkeys(listings, "up")
        self.listings = {
            node: NodeGraphs(None if graphs is None else frozenset(graphs.split())) for node, graphs in listings.items()
        }
        self.are_asked = True
        self.directory = self.make()
        self.directory.nodes_changed()

    def make(self, first_snapshot_within: float = 60) -> FixedReplicaSelector:
        return FixedReplicaSelector(
            lambda: self.ring, lambda: self.listings, lambda: self.are_asked, first_snapshot_within
        )

    @property
    def ring(self) -> RingView:
        nodes = tuple(Node(name, f"http://{name}/catalogue", state) for name, state in self.states.items())
        return RingView(Ring(1, nodes, virtual_nodes=1, replicas=0))

    def becomes(self, node: str, state: NodeState) -> None:
        self.states[node] = state
        self.directory.nodes_changed()

    def lists(self, node: str, graphs: str) -> None:
        self.listings = {**self.listings, node: NodeGraphs(frozenset(graphs.split()))}
        self.directory.nodes_changed()


MANY = " ".join(f"urn:{n}" for n in range(3000))


def test_a_graph_on_several_nodes_is_read_from_one_of_them() -> None:
    snapshot = Nodes(a="urn:1 urn:2", b="urn:2 urn:3", c="").directory.snapshot()

    assert snapshot.source_of.keys() == {"urn:1", "urn:2", "urn:3"}
    assert (snapshot.source_of["urn:1"], snapshot.source_of["urn:3"]) == ("a", "b")
    assert snapshot.source_of["urn:2"] in ("a", "b")
    assert [node for node in "abc" if snapshot.reads("urn:2", node)] == [snapshot.source_of["urn:2"]]
    assert snapshot.sources == tuple(Source(node, f"http://{node}/catalogue/sparql") for node in "abc")
    assert (snapshot.unavailable, snapshot.tombstoned) == ((), frozenset())


def test_every_gateway_chooses_the_same_one_in_whatever_order_it_learnt_of_them() -> None:
    one, other = Nodes(a=MANY, b=MANY, c=MANY), Nodes(c="urn:x", b="", a=MANY)
    other.directory.snapshot()
    other.lists("c", MANY)
    other.directory.snapshot()
    other.lists("b", MANY)

    assert other.directory.snapshot().source_of == one.directory.snapshot().source_of


def test_nodes_share_the_graphs() -> None:
    shares = Counter(Nodes(a=MANY, b=MANY, c=MANY).directory.snapshot().source_of.values())

    assert all(800 < shares[node] < 1200 for node in "abc"), shares


def test_without_a_node_its_graphs_are_shared_by_the_others_and_the_rest_stays() -> None:
    nodes = Nodes(a=MANY, b=MANY, c=MANY)
    before, after = nodes.directory.snapshot().source_of, nodes.directory.snapshot(frozenset("a"))

    assert all(after.source_of[graph] == node for graph, node in before.items() if node != "a")
    moved = Counter(after.source_of[graph] for graph, node in before.items() if node == "a")
    assert moved.keys() == {"b", "c"}
    assert after.unavailable == ()
    assert [source.id for source in after.sources] == ["b", "c"]


@pytest.mark.parametrize("state", ["suspect", "down"])
def test_a_graph_that_only_silent_nodes_hold_is_missing(state: NodeState) -> None:
    nodes = Nodes(a="urn:1 urn:2", b="urn:2")
    nodes.becomes("a", state)
    snapshot = nodes.directory.snapshot()

    assert snapshot.source_of == {"urn:1": "", "urn:2": "b"}
    assert snapshot.unavailable == ("a",)


def test_a_silent_node_whose_graphs_others_hold_is_not_missing() -> None:
    assert Nodes(a="urn:1", b="urn:1").directory.snapshot(frozenset("a")).unavailable == ()


def test_a_node_that_has_just_come_up_is_not_read_until_it_has_said_what_it_holds_now() -> None:
    nodes = Nodes(a="urn:1 urn:2", b="urn:1")
    nodes.listings["a"] = nodes.listings["a"]._replace(is_current=False)
    nodes.directory.nodes_changed()
    snapshot = nodes.directory.snapshot()
    assert (snapshot.source_of, snapshot.unavailable) == ({"urn:1": "b", "urn:2": ""}, ("a",))

    nodes.lists("a", "")
    assert nodes.directory.snapshot().source_of == {"urn:1": "b"}


def test_a_node_that_never_said_what_it_holds_is_missing() -> None:
    nodes = Nodes(a="urn:1", b=None)
    nodes.becomes("b", "down")
    assert nodes.directory.snapshot().unavailable == ("b",)

    nodes.becomes("b", "up")
    nodes.lists("b", "")
    assert nodes.directory.snapshot().unavailable == ()


def test_a_snapshot_is_kept_until_something_changes() -> None:
    nodes = Nodes(a="urn:1", b="urn:1")
    before, avoiding = nodes.directory.snapshot(), nodes.directory.snapshot(frozenset("a"))
    assert nodes.directory.snapshot() is before
    assert nodes.directory.snapshot(frozenset("a")) is avoiding

    nodes.lists("a", "urn:2")

    assert nodes.directory.snapshot().source_of == {"urn:1": "b", "urn:2": "a"}
    assert nodes.directory.snapshot(frozenset("a")).source_of == {"urn:1": "b", "urn:2": ""}


def test_a_graph_is_found_by_its_name() -> None:
    directory = Nodes(a="urn:1", b="urn:1").directory

    assert directory.graph_of("urn:1") == "urn:1"
    assert directory.graph_of("urn:2") is None


def test_all_graphs_are_listed_with_all_their_nodes() -> None:
    nodes = Nodes(b="urn:1 urn:2", a="urn:2")
    assert nodes.directory.offerings() == [
        ListedOffering(graph="urn:1", nodes=("b",)),
        ListedOffering(graph="urn:2", nodes=("a", "b")),
    ]

    nodes.lists("b", "")
    assert nodes.directory.offerings() == [ListedOffering(graph="urn:2", nodes=("a",))]


class TestTheFirstAnswer:
    def test_it_waits_until_the_nodes_have_been_asked(self) -> None:
        nodes = Nodes(a=None)
        nodes.are_asked = False
        directory = nodes.make()
        directory.nodes_changed()
        taken: list[object] = []
        waiting = threading.Thread(target=lambda: taken.append(directory.snapshot().source_of), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert not taken

        nodes.listings = {"a": NodeGraphs(frozenset({"urn:1"}))}
        nodes.are_asked = True
        directory.nodes_changed()

        eventually(lambda: taken == [{"urn:1": "a"}])

    def test_but_not_for_ever(self) -> None:
        nodes = Nodes(a="urn:1", b=None)
        nodes.are_asked = False
        directory = nodes.make(first_snapshot_within=0.1)

        snapshot = directory.snapshot()

        assert (snapshot.source_of, snapshot.unavailable) == ({"urn:1": "a"}, ("b",))


LISTINGS = st.dictionaries(
    st.sampled_from("abcd"), st.frozensets(st.sampled_from(["urn:1", "urn:2", "urn:3", "urn:4"])), max_size=4
)


@given(st.lists(LISTINGS, min_size=1, max_size=8), st.frozensets(st.sampled_from("abcd"), max_size=3))
def test_what_is_worked_out_change_by_change_is_what_the_listings_say(
    changes: list[dict[str, frozenset[str]]], avoid: frozenset[str]
) -> None:
    nodes = Nodes(**dict.fromkeys("abcd"))
    for listings in changes:
        nodes.listings = {node: NodeGraphs(graphs) for node, graphs in listings.items()}
        nodes.directory.nodes_changed()
        fresh = Nodes(**dict.fromkeys("abcd"))
        fresh.listings = nodes.listings

        assert nodes.directory.snapshot(avoid) == fresh.directory.snapshot(avoid)
