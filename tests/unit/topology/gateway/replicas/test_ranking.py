"""Ranking: current replicas first, then stale ones, then those that may have gone."""

from __future__ import annotations

from topology.gateway.replicas.ranking import UNCONFIRMED, IdenticalReplicas, Replica, by_rendezvous, fingerprint, rank

G = "https://p.example/1"


def test_rank_of_a_graph_that_a_node_has_lost_has_another_fingerprint() -> None:
    """What was read of that node lately, and may be kept, may have lacked the graph."""
    held = {"a": Replica("new", 1), "b": Replica("new", 1)}

    (whole,) = rank(G, "new", held, ("a", "b"))
    left, lost = rank(G, "new", held, ("a", "b"), lost=("b",))

    assert (whole.nodes, left.nodes, lost) == (("a", "b"), ("a",), IdenticalReplicas(UNCONFIRMED, ("b",)))
    assert left.fingerprint != whole.fingerprint


def test_rank_leaves_surplus_replicas_unconfirmed_once_all_owners_are_current() -> None:
    held = {node: Replica("new", 1) for node in "zab"}
    with_owners_on_their_way = rank(G, "new", {**held, "a": Replica("old", 0)}, ("a", "b"))
    settled = rank(G, "new", held, ("a", "b"))

    assert [alike.nodes for alike in with_owners_on_their_way] == [("b", "z"), ("a",)]
    assert settled == (
        IdenticalReplicas(with_owners_on_their_way[0].fingerprint, ("a", "b")),
        IdenticalReplicas(UNCONFIRMED, ("z",)),
    )


def test_rank_confirms_no_surplus_replica_when_an_owner_has_lost_its_own() -> None:
    """The router knows nothing of that yet."""
    held = {node: Replica("new", 1) for node in "zab"}

    assert [alike.nodes for alike in rank(G, "new", held, ("a", "b"), lost=("a",))] == [("b",), ("z", "a")]


def test_rank_of_identical_stale_replicas_prefers_an_owner() -> None:
    """The others were about to be deleted when the new description came."""
    ranked = rank(G, "newer", {node: Replica("new", 7) for node in "bcz"}, ("b", "c"))

    assert [alike.nodes for alike in ranked] == [("c",), ("b",), ("z",)]


def test_by_rendezvous_without_a_node_keeps_the_order_of_the_others() -> None:
    order = by_rendezvous(G, "abcd")

    assert sorted(order) == list("abcd")
    assert by_rendezvous(G, set("abcd") - {order[1]}) == (order[0], *order[2:])


def test_fingerprint_tells_apart_how_texts_are_divided() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
