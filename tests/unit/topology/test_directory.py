"""Where each graph is read from: a current copy before a stale one, and none of what is gone; what cannot be read is named."""

from __future__ import annotations

import threading

import pytest

from catena_core.table import TableContent
from topology import records
from topology.federation.sources import Source
from topology.gateway.directory import Copy, Directory, decode_copy, take_snapshot
from topology.records import Node, NodeState, Offering, OfferingHead, Placement, Ring, placement_key
from topology.ring import RingView

G = "https://p.example/1"


def ring(replicas: int = 2, **states: NodeState) -> RingView:
    nodes = tuple(Node(name, f"http://{name}/catalogue", state) for name, state in states.items())
    return RingView(Ring(1, nodes, 150, replicas))


def claim(graph: str = G, digest: str = "new", at: int = 1) -> OfferingHead:
    return OfferingHead(graph=graph, digest=digest, claimed_at=at)


def copies(graph: str = G, **digests: str) -> dict[str, Copy]:
    return {placement_key(node, graph): Copy(digest, number) for number, (node, digest) in enumerate(digests.items())}


THREE = ring(a="up", b="up", c="up")


def test_a_current_copy_is_read_from_the_first_owner_that_has_one() -> None:
    first, second = THREE.owners(G)

    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "new", second: "new"})).holders == {G: first}
    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "old", second: "new"})).holders == {G: second}


def test_a_current_copy_elsewhere_is_better_than_a_stale_one_at_an_owner() -> None:
    first, second = THREE.owners(G)
    (other,) = set("abc") - {first, second}

    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "old", other: "new"})).holders == {G: other}


def test_while_the_new_description_is_on_its_way_the_newest_copy_is_read() -> None:
    held = {placement_key("a", G): Copy("older", 3), placement_key("b", G): Copy("old", 7)}

    snapshot = take_snapshot(THREE, {"1": claim()}, held)

    assert snapshot.holders == {G: "b"}
    assert snapshot.missing == ()


def test_a_graph_is_read_from_one_node_only() -> None:
    snapshot = take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new", c="new"))

    assert [node for node in "abc" if snapshot.keeps(G, node)] == [snapshot.holders[G]]


def test_a_graph_that_was_delisted_is_withheld_however_many_copies_there_are() -> None:
    snapshot = take_snapshot(THREE, {}, copies(a="new", b="old"))

    assert snapshot.withheld == {G}
    assert not any(snapshot.keeps(G, node) for node in "abc")
    assert snapshot.missing == ()


def test_graphs_that_nobody_placed_are_read_where_they_stand() -> None:
    snapshot = take_snapshot(THREE, {}, {})

    assert snapshot.keeps("urn:a-provider-s-own", "b")


@pytest.mark.parametrize("state", ["suspect", "down"])
def test_a_copy_on_a_node_that_does_not_answer_is_not_read(state: NodeState) -> None:
    view = ring(a=state, b="up", c="up")

    snapshot = take_snapshot(view, {"1": claim()}, copies(a="new", b="old"))

    assert snapshot.holders == {G: "b"}
    assert snapshot.sources == (Source("b", "http://b/catalogue/sparql"), Source("c", "http://c/catalogue/sparql"))
    assert snapshot.missing == ()


def test_nodes_whose_copies_are_the_only_ones_are_named_when_they_are_gone() -> None:
    view = ring(a="down", b="suspect", c="up")

    snapshot = take_snapshot(
        view, {"1": claim(), "2": claim("urn:other")}, copies(a="new", b="old") | copies("urn:other", c="new")
    )

    assert snapshot.missing == ("a", "b")
    assert snapshot.holders == {G: "", "urn:other": "c"}
    assert not snapshot.keeps(G, "c")


def test_a_node_that_left_the_ring_with_the_only_copy_is_named() -> None:
    assert take_snapshot(ring(b="up"), {"1": claim()}, copies(a="new")).missing == ("a",)


def test_nodes_to_avoid_are_as_good_as_down() -> None:
    snapshot = take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("a"))

    assert snapshot.holders == {G: "b"}
    assert [source.id for source in snapshot.sources] == ["b", "c"]
    assert take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("ab")).missing == ("a", "b")


def test_a_copy_that_was_refused_is_none() -> None:
    held = {placement_key("a", G): decode_copy("", records.to_text(Placement("a", G, "1", 5, 1, 0, "", "new")))}

    assert take_snapshot(THREE, {"1": claim()}, held).holders == {}


@pytest.mark.parametrize("addresses", ["12", "21"])
def test_of_two_claims_the_first_one_counts(addresses: str) -> None:
    claims = dict(zip(addresses, [claim(digest="first", at=5), claim(digest="second", at=6)], strict=True))

    assert take_snapshot(THREE, claims, copies(a="second", b="first")).holders == {G: "b"}


def test_of_claims_of_the_same_moment_the_router_s_choice_counts() -> None:
    claims = {"2": claim(digest="second", at=5), "1": claim(digest="first", at=5)}

    assert take_snapshot(THREE, claims, copies(a="second", b="first")).holders == {G: "b"}


def test_a_node_may_have_a_space_in_its_name() -> None:
    view = RingView(Ring(1, (Node("node 1", "http://a/catalogue"),), 150, 1))

    assert take_snapshot(view, {"1": claim()}, {placement_key("node 1", G): Copy("new", 1)}).holders == {G: "node 1"}


def test_before_anything_is_known_there_is_nothing() -> None:
    snapshot = take_snapshot(RingView(None), {}, {})

    assert (snapshot.sources, snapshot.holders, snapshot.missing) == ((), {}, ())


class TestDirectory:
    @pytest.fixture
    def directory(self) -> Directory:
        directory = Directory(lambda: THREE)
        directory.claims = {"0xa": claim()}
        directory.copies = copies(a="new")
        return directory

    def test_a_graph_is_found_by_address_and_by_iri(self, directory: Directory) -> None:
        assert directory.graph_of("0xa") == G
        assert directory.graph_of(G) == G
        assert directory.graph_of("0xb") is None
        assert directory.graph_of("") is None

    def test_an_address_that_looks_like_another_s_graph_is_an_address_first(self, directory: Directory) -> None:
        directory.claims = {G: claim("urn:other"), "0xa": claim()}

        assert directory.graph_of(G) == "urn:other"

    def test_a_snapshot_is_kept_until_something_changes(self, directory: Directory) -> None:
        before = directory.snapshot()
        assert directory.snapshot() is before

        directory.copies = copies(b="new")
        directory.changed()

        assert directory.snapshot().holders == {G: "b"}

    def test_snapshots_that_avoid_nodes_are_kept_apart(self, directory: Directory) -> None:
        directory.copies = copies(a="new", b="new")

        assert directory.snapshot(frozenset("a")).holders == {G: "b"}
        assert directory.snapshot(frozenset("b")).holders == {G: "a"}

    def test_rows_that_come_and_go_meanwhile_disturb_nobody(self, directory: Directory) -> None:
        """Tables change in threads of their own."""
        claims: TableContent[OfferingHead] = TableContent(decode=records.read_head, on_change=directory.changed)
        kept: TableContent[Copy] = TableContent(decode=decode_copy, on_change=directory.changed)
        directory.claims, directory.copies = claims, kept
        offering = records.to_text(Offering(graph=G, digest="new", claimed_at=1, triples=""))
        placement = records.to_text(Placement("a", G, "x", 1, 1, 0, "new"))
        stop = threading.Event()

        def come_and_go() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                for value in (True, False):
                    claims.apply(f"0x{turn % 50}", offering if value else None)
                    kept.apply(f"a urn:{turn % 50}", placement if value else None)

        changing = threading.Thread(target=come_and_go)
        changing.start()
        try:
            for _ in range(300):
                directory.snapshot()
                directory.graph_of("urn:nobody-s")
        finally:
            stop.set()
            changing.join()
