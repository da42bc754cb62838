"""What nodes list decides on graphs that were never placed, and on copies that were lost."""

from __future__ import annotations

import math
import time

import pytest

from tests.helpers.replicas import THREE, G, claim, copies, ring
from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import (
    Node,
    NodeState,
    Ring,
    placement_key,
)
from topology.ring import RingView


class TestGraphsThatNobodyPlaced:
    """They count too: a node that is gone with some of them is missing from the answer."""

    def directory(self, view: RingView = THREE, **listings: str) -> ReplicaSelector:
        """Over nodes that list graphs named by letters; G is placed on a and b, the rest is not."""
        self.listings = {
            node: NodeGraphs(frozenset(graphs.split()), began=math.inf) for node, graphs in listings.items()
        }
        directory = ReplicaSelector(lambda: view, lambda: self.listings)
        directory.claims = {"1": claim()}
        directory.replicas = copies(a="new", b="new")
        return directory

    def test_a_node_with_graphs_that_only_it_lists_is_missing_when_it_is_gone(self) -> None:
        directory = self.directory(a=f"{G} urn:x urn:y", b=f"{G} urn:x", c="")

        assert directory.snapshot().unavailable == ()
        assert directory.snapshot(frozenset("a")).unavailable == ("a",)

    def test_one_whose_graphs_others_list_too_is_not(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=f"{G} urn:x", c="urn:y")

        assert directory.snapshot(frozenset("a")).unavailable == ()
        assert directory.snapshot(frozenset("ab")).unavailable == ("a", "b")

    def test_nor_one_that_holds_nothing_but_what_was_placed(self) -> None:
        directory = self.directory(a=G, b=G, c="")

        assert [directory.snapshot(frozenset(node)).unavailable for node in "abc"] == [(), (), ()]

    @pytest.mark.parametrize("state", ["suspect", "down"])
    def test_what_a_node_listed_last_counts_when_the_ring_knows_that_it_is_gone(self, state: NodeState) -> None:
        directory = self.directory(ring(a=state, b="up", c="up"), a="urn:x", b=G, c="")

        assert directory.snapshot().unavailable == ("a",)

    def test_a_node_that_was_up_and_never_listed_may_hold_some(self) -> None:
        nodes = tuple(Node(name, f"http://{name}/catalogue", "up", since=1) for name in "abc")
        directory = self.directory(RingView(Ring(1, nodes, 150, 2)), b=G)

        assert directory.snapshot().unavailable == ()
        assert directory.snapshot(frozenset("c")).unavailable == ("c",)

    def test_a_node_that_never_was_up_holds_none(self) -> None:
        """The addresses of owners' nodes are guessed, and many are nobody's."""
        assert self.directory(ring(a="up", b="up", c="down"), a=G, b=G).snapshot().unavailable == ()

    def test_a_graph_that_is_to_be_deleted_is_not_one_of_them(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=G, c="")
        directory.replicas = copies(a="new", b="new") | copies("urn:x", a="new")

        assert directory.snapshot(frozenset("a")).unavailable == ()

    def test_nor_one_that_was_deleted_since_the_listing(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=G, c="")
        gone = placement_key("a", "urn:x")
        directory.replicas = held = copies(a="new", b="new") | copies("urn:x", a="new")
        assert directory.snapshot(frozenset("a")).unavailable == ()

        old = held.pop(gone)
        directory.replica_changed(gone, old, None)

        assert directory.snapshot(frozenset("a")).unavailable == ()

    def test_one_that_is_placed_later_is_none_any_more(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=G, c="")
        assert directory.snapshot(frozenset("a")).unavailable == ("a",)
        assert isinstance(directory.claims, dict)

        new = claim("urn:x", at=int(time.time() * 1000))
        directory.claims["2"] = new
        directory.claim_changed("2", None, new)

        assert directory.snapshot(frozenset("a")).unavailable == ()

    def test_a_new_listing_takes_the_old_one_s_place(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=G, c="")
        before = directory.snapshot()
        assert directory.snapshot(frozenset("a")).unavailable == ("a",)

        listed = {"a": G, "b": G, "c": "urn:z"}
        self.listings = {node: NodeGraphs(frozenset({graph}), began=math.inf) for node, graph in listed.items()}
        directory.nodes_changed()

        assert directory.snapshot(frozenset("a")).unavailable == ()
        assert directory.snapshot(frozenset("c")).unavailable == ("c",)
        assert directory.snapshot().version != before.version

    def test_a_graph_that_several_nodes_list_is_read_from_one_of_them(self) -> None:
        directory = self.directory(a=f"{G} urn:x", b=f"{G} urn:x", c="urn:y")
        holder = directory.snapshot().source_of["urn:x"]

        assert holder in ("a", "b")
        assert "urn:y" not in directory.snapshot().source_of, "it is read wherever it stands"
        assert "urn:x" not in directory.snapshot(frozenset(holder)).source_of
        assert directory.snapshot().version == directory.snapshot(frozenset(holder)).version

    def test_a_node_that_left_the_catalogue_is_not_missing(self) -> None:
        directory = self.directory(ring(b="up", c="up"), a="urn:x", b=G, c="")

        assert directory.snapshot().unavailable == ()


class TestLostCopies:
    """A node may be back with less than it acknowledged before anybody has noticed that it was away."""

    def directory(self, **listings: str) -> ReplicaSelector:
        """Over three nodes, of which a and b acknowledged G."""
        self.listings: dict[str, NodeGraphs] = {}
        directory = ReplicaSelector(lambda: THREE, lambda: self.listings)
        directory.claims = {"1": claim()}
        directory.replicas = copies(a="new", b="new")
        assert directory.snapshot().source_of[G] in ("a", "b")
        self.list(directory, **listings)
        return directory

    def list(self, directory: ReplicaSelector, **listings: str) -> None:
        said = {node: NodeGraphs(frozenset(graphs.split()), time.monotonic()) for node, graphs in listings.items()}
        self.listings = {**self.listings, **said}
        directory.nodes_changed()

    @pytest.mark.parametrize(("keeps", "other"), ["ab", "ba"])
    def test_a_node_that_does_not_list_a_graph_is_not_read_for_it(self, keeps: str, other: str) -> None:
        directory = self.directory(**{keeps: G, other: ""})
        snapshot = directory.snapshot()

        assert (snapshot.source_of, snapshot.unavailable) == ({G: keeps}, ())
        assert directory.snapshot(frozenset(other)).version == snapshot.version

    def test_one_that_has_it_again_is(self) -> None:
        directory = self.directory(a="", b=G)
        assert directory.snapshot().source_of == {G: "b"}

        self.list(directory, a=G, b="")

        assert directory.snapshot().source_of == {G: "a"}

    def test_one_that_acknowledged_it_after_it_was_listed_is(self) -> None:
        directory = self.directory(a="urn:x", b="")
        first = THREE.owners(G)[0]
        assert isinstance(directory.replicas, dict)
        for node in "ab":
            directory.replicas[placement_key(node, G)] = Replica("new", 2)
            directory.replica_changed(placement_key(node, G), Replica("new", 1), Replica("new", 2))
        assert directory.snapshot().source_of == {G: first if first in "ab" else "a"}

        (other,) = {"a", "b"} - {directory.snapshot().source_of[G]}
        self.list(directory, **{directory.snapshot().source_of[G]: "urn:x", other: G})

        assert directory.snapshot().source_of == {G: other}, "that listing is younger"

    def test_a_stale_copy_is_better_than_a_lost_one(self) -> None:
        directory = self.directory(a="", b=G)
        directory.replicas = copies(a="new", b="old")
        directory.changed()
        assert directory.snapshot().source_of == {G: "a"}

        self.list(directory, a="", b=G)

        assert directory.snapshot().source_of == {G: "b"}

    def test_where_there_is_no_other_it_is_read_all_the_same(self) -> None:
        """Some servers list graphs under other names than they were put under."""
        directory = self.directory(a="", b="")

        assert directory.snapshot().source_of[G] in ("a", "b")

    def test_but_it_is_told_to_be_in_doubt(self) -> None:
        snapshot = self.directory(a="", b="").snapshot()

        assert (snapshot.unconfirmed, snapshot.unavailable, snapshot.is_confirmed(G)) == ({G}, ("a", "b"), False)
        assert self.directory(a="", b=G).snapshot().unconfirmed == frozenset()

    def test_what_was_read_before_a_loss_was_known_is_known_to_be_gone_also_when_it_is_back(self) -> None:
        """It may have lacked the graph, and be kept, by a gateway that nobody asked anything while the copy was away."""
        directory = self.directory(a=G, b=G)
        before = directory.snapshot()
        self.list(directory, a="", b=G)
        without = directory.snapshot()
        self.list(directory, a=G, b=G)
        again = directory.snapshot()

        assert before.fingerprints != without.fingerprints and before.version != without.version
        assert again.removed_at[G] == without.removed_at[G] > before.revision
        assert again.moved_at[G] > without.moved_at[G] > before.revision

    def test_but_nodes_that_are_gone_with_a_better_one_are_missing(self) -> None:
        directory = self.directory(a="", b=G)
        without = directory.snapshot(frozenset("b"))

        assert (without.source_of, without.unavailable, without.unconfirmed) == ({G: "a"}, ("b",), {G})
        assert without.version != directory.snapshot().version

    def test_a_node_that_is_back_is_not_read_before_it_has_said_what_it_holds_now(self) -> None:
        directory = self.directory(a=G, b=G, c="")
        (holder,) = directory.snapshot().source_of.values()
        (other,) = {"a", "b"} - {holder}

        self.listings[holder] = self.listings[holder]._replace(is_current=False)
        directory.nodes_changed()

        assert directory.snapshot().source_of == {G: other}
        assert holder not in {source.id for source in directory.snapshot().sources}

    def test_a_node_that_has_not_said_anything_yet_is_believed(self) -> None:
        directory = self.directory()
        self.listings = {"a": NodeGraphs(is_current=False), "b": NodeGraphs(is_current=False)}
        directory.nodes_changed()

        assert len(directory.snapshot().sources) == 3
