"""Where each graph is read from: a current copy before a stale one, and none of what is gone; what cannot be read is named."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.table import TableContent
from federation.source_selection import Source
from topology import records
from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.ranking import Replica, decode_replica
from topology.gateway.replicas.selector import ReplicaSelector, take_snapshot
from topology.records import (
    Node,
    NodeState,
    Offering,
    OfferingHead,
    Placement,
    Ring,
    placement_key,
    split_placement_key,
)
from topology.ring import RingView

G = "https://p.example/1"


def ring(replicas: int = 2, **states: NodeState) -> RingView:
    nodes = tuple(Node(name, f"http://{name}/catalogue", state) for name, state in states.items())
    return RingView(Ring(1, nodes, 150, replicas))


def claim(graph: str = G, digest: str = "new", at: int = 1) -> OfferingHead:
    return OfferingHead(graph=graph, digest=digest, claimed_at=at)


def copies(graph: str = G, **digests: str) -> dict[str, Replica]:
    return {
        placement_key(node, graph): Replica(digest, number) for number, (node, digest) in enumerate(digests.items())
    }


THREE = ring(a="up", b="up", c="up")


def test_a_current_copy_is_read_from_the_first_owner_that_has_one() -> None:
    first, second = THREE.owners(G)

    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "new", second: "new"})).source_of == {G: first}
    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "old", second: "new"})).source_of == {G: second}


def test_a_current_copy_elsewhere_is_better_than_a_stale_one_at_an_owner() -> None:
    first, second = THREE.owners(G)
    (other,) = set("abc") - {first, second}

    assert take_snapshot(THREE, {"1": claim()}, copies(**{first: "old", other: "new"})).source_of == {G: other}


def test_while_the_new_description_is_on_its_way_the_newest_copy_is_read() -> None:
    held = {placement_key("a", G): Replica("older", 3), placement_key("b", G): Replica("old", 7)}

    snapshot = take_snapshot(THREE, {"1": claim()}, held)

    assert snapshot.source_of == {G: "b"}
    assert snapshot.unavailable == ()


def test_offering_without_any_copy_is_missing_on_its_owners() -> None:
    """Its nodes have lost it, or hold it in an unknown state: an answer without it is not complete."""
    owners = tuple(sorted(THREE.owners(G)))
    unknown = {placement_key(node, G): Replica("", 1) for node in owners}

    assert take_snapshot(THREE, {"1": claim()}, {}).unavailable == owners
    assert take_snapshot(THREE, {"1": claim()}, unknown).unavailable == owners


def test_offering_without_any_copy_is_not_missing_while_it_is_new_or_where_it_is_refused() -> None:
    new = claim(at=int(time.time() * 1000))
    refused = {placement_key(node, G): Replica("", 1, refused="new") for node in THREE.owners(G)}

    assert take_snapshot(THREE, {"1": new}, {}).unavailable == ()
    assert take_snapshot(THREE, {"1": claim()}, refused).unavailable == ()


def test_a_graph_is_read_from_one_node_only() -> None:
    snapshot = take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new", c="new"))

    assert [node for node in "abc" if snapshot.reads(G, node)] == [snapshot.source_of[G]]


def test_a_graph_that_was_delisted_is_withheld_however_many_copies_there_are() -> None:
    snapshot = take_snapshot(THREE, {}, copies(a="new", b="old"))

    assert snapshot.tombstoned == {G}
    assert not any(snapshot.reads(G, node) for node in "abc")
    assert snapshot.unavailable == ()


def test_graphs_that_nobody_placed_are_read_where_they_stand() -> None:
    snapshot = take_snapshot(THREE, {}, {})

    assert snapshot.reads("urn:a-provider-s-own", "b")


@pytest.mark.parametrize("state", ["suspect", "down"])
def test_a_copy_on_a_node_that_does_not_answer_is_not_read(state: NodeState) -> None:
    view = ring(a=state, b="up", c="up")

    snapshot = take_snapshot(view, {"1": claim()}, copies(a="new", b="old"))

    assert snapshot.source_of == {G: "b"}
    assert snapshot.sources == (Source("b", "http://b/catalogue/sparql"), Source("c", "http://c/catalogue/sparql"))
    assert snapshot.unavailable == ()


def test_a_graph_whose_copies_are_all_in_doubt_is_still_shown_and_its_nodes_are_named() -> None:
    """An answer without it must not pass for complete, however new the offering is."""
    doubted = Replica("", 1, in_doubt=True)
    copies_in_doubt = {placement_key(node, G): doubted for node in THREE.owners(G)}

    snapshot = take_snapshot(THREE, {"1": claim(at=2**53)}, copies_in_doubt)

    assert snapshot.contents == {G: "new"}
    assert snapshot.unconfirmed == {G}
    assert set(snapshot.unavailable) == set(THREE.owners(G))


def test_while_the_current_copy_is_in_doubt_a_stale_one_is_read_as_while_its_node_is_down() -> None:
    doubted = {placement_key("a", G): Replica("", 2, in_doubt=True)}

    while_in_doubt = take_snapshot(ring(a="up", b="up"), {"1": claim()}, doubted | copies(b="old"))
    while_down = take_snapshot(ring(a="down", b="up"), {"1": claim()}, copies(a="new", b="old"))

    for snapshot in (while_in_doubt, while_down):
        assert (snapshot.contents, snapshot.source_of, snapshot.unavailable) == ({G: "new"}, {G: "b"}, ())


def test_nodes_whose_copies_are_the_only_ones_are_named_when_they_are_gone() -> None:
    view = ring(a="down", b="suspect", c="up")

    snapshot = take_snapshot(
        view, {"1": claim(), "2": claim("urn:other")}, copies(a="new", b="old") | copies("urn:other", c="new")
    )

    assert snapshot.unavailable == ("a", "b")
    assert snapshot.source_of == {G: "", "urn:other": "c"}
    assert not snapshot.reads(G, "c")


def test_a_node_that_left_the_ring_with_the_only_copy_is_named() -> None:
    assert take_snapshot(ring(b="up"), {"1": claim()}, copies(a="new")).unavailable == ("a",)


def test_what_has_been_away_and_is_back_is_known_to_have_been_touched() -> None:
    directory = ReplicaSelector(lambda: THREE)
    directory.claims, held = {"1": claim(), "2": claim("https://p.example/2")}, copies(a="new", b="new")
    directory.replicas = {**held, **copies("https://p.example/2", a="new")}
    before = directory.snapshot()
    key, copy = next(iter(held.items()))
    del directory.replicas[key]
    directory.replica_changed(key, copy, None)
    directory.replicas[key] = copy
    directory.replica_changed(key, None, copy)
    after = directory.snapshot()
    assert after.source_of == before.source_of
    assert [graph for graph, taken in after.moved_at.items() if taken > before.revision] == [G]
    assert [graph for graph, taken in after.removed_at.items() if taken > before.revision] == [G]


def test_what_comes_to_another_node_is_gone_from_none() -> None:
    directory = ReplicaSelector(lambda: THREE)
    directory.claims, directory.replicas = {"1": claim()}, copies(a="new")
    before = directory.snapshot()
    key = placement_key("b", G)
    directory.replicas[key] = Replica("new", 1)
    directory.replica_changed(key, None, directory.replicas[key])
    after = directory.snapshot()
    assert after.moved_at[G] > before.revision >= after.removed_at[G]


def test_that_is_known_whenever_another_snapshot_was_taken_meanwhile() -> None:
    """The changes may be noted after that one has counted them, and before it has taken them."""
    held = copies(a="new", b="new")
    key, copy = next(iter(held.items()))

    def away_and_back() -> RingView:
        if moving:
            moving.clear()
            directory.replica_changed(key, copy, None)
            directory.replica_changed(key, None, copy)
        return THREE

    moving: list[bool] = []
    directory = ReplicaSelector(away_and_back)
    directory.claims, directory.replicas = {"1": claim()}, held
    directory.snapshot()
    before = directory.snapshot()
    moving.append(True)
    directory.snapshot(frozenset("c"))

    assert directory.snapshot().moved_at[G] > before.revision


def test_what_is_written_in_its_place_has_not_been_touched() -> None:
    directory = ReplicaSelector(lambda: THREE)
    directory.claims, directory.replicas = {"1": claim()}, copies(a="new", b="new")
    before = directory.snapshot()
    for number, digest in enumerate(("newer", "newest")):
        old, directory.claims["1"] = directory.claims["1"], claim(digest=digest)
        directory.claim_changed("1", old, directory.claims["1"])
        for node in "ab":
            key = placement_key(node, G)
            copy, directory.replicas[key] = directory.replicas[key], Replica(digest, number + 5)
            directory.replica_changed(key, copy, directory.replicas[key])
            assert directory.snapshot().moved_at.get(G, 0) <= before.revision
    assert directory.snapshot().fingerprints != before.fingerprints


def test_what_the_owners_have_all_has_been_touched_for_those_who_read_it_elsewhere() -> None:
    """It may be deleted there before the word of that comes."""
    first, second = THREE.owners(G)
    (other,) = set("abc") - {first, second}
    directory = ReplicaSelector(lambda: THREE)
    directory.claims, directory.replicas = {"1": claim()}, copies(**{first: "old", second: "old", other: "new"})
    before = directory.snapshot()
    assert before.source_of == {G: other}
    for node in (first, second):
        key = placement_key(node, G)
        old, directory.replicas[key] = directory.replicas[key], Replica("new", 5)
        directory.replica_changed(key, old, directory.replicas[key])
    now = directory.snapshot()

    assert now.moved_at[G] > before.revision
    without_owners = directory.snapshot(frozenset({first, second}))
    assert (without_owners.source_of, without_owners.unconfirmed) == ({G: other}, {G})
    assert without_owners.unavailable == tuple(sorted((first, second)))


def test_nodes_to_avoid_are_as_good_as_down() -> None:
    snapshot = take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("a"))

    assert snapshot.source_of == {G: "b"}
    assert [source.id for source in snapshot.sources] == ["b", "c"]
    assert take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("ab")).unavailable == ("a", "b")


def test_a_copy_that_was_refused_is_none() -> None:
    held = {placement_key("a", G): decode_replica("", records.to_text(Placement("a", G, "1", 5, 1, 0, "", "new")))}

    assert take_snapshot(THREE, {"1": claim()}, held).source_of == {}


@pytest.mark.parametrize("addresses", ["12", "21"])
def test_of_two_claims_the_first_one_counts(addresses: str) -> None:
    claims = dict(zip(addresses, [claim(digest="first", at=5), claim(digest="second", at=6)], strict=True))

    assert take_snapshot(THREE, claims, copies(a="second", b="first")).source_of == {G: "b"}


def test_of_claims_of_the_same_moment_the_router_s_choice_counts() -> None:
    claims = {"2": claim(digest="second", at=5), "1": claim(digest="first", at=5)}

    assert take_snapshot(THREE, claims, copies(a="second", b="first")).source_of == {G: "b"}


def test_a_node_may_have_a_space_in_its_name() -> None:
    view = RingView(Ring(1, (Node("node 1", "http://a/catalogue"),), 150, 1))

    assert take_snapshot(view, {"1": claim()}, {placement_key("node 1", G): Replica("new", 1)}).source_of == {
        G: "node 1"
    }


def test_before_anything_is_known_there_is_nothing() -> None:
    snapshot = take_snapshot(RingView(None), {}, {})

    assert (snapshot.sources, snapshot.source_of, snapshot.unavailable) == ((), {}, ())


CLAIMS = {"1": claim(), "2": claim("urn:other", "theirs")}
# Copies of one write have its version.
COPIES = {
    key: copy._replace(version=7)
    for key, copy in (copies(a="new", b="new") | copies("urn:other", b="theirs", c="theirs")).items()
}


class TestVersion:
    """The same text wherever the same is known, and another one after each change."""

    def version(
        self,
        claims: dict[str, OfferingHead] = CLAIMS,
        copies: dict[str, Replica] = COPIES,
        view: RingView = THREE,
        avoid: str = "",
    ) -> str:
        return take_snapshot(view, claims, copies, frozenset(avoid)).version

    def test_it_does_not_depend_on_the_order_in_which_rows_came(self) -> None:
        turned = dict(reversed(CLAIMS.items())), dict(reversed(COPIES.items()))

        assert self.version(claims=turned[0], copies=turned[1]) == self.version() != ""

    @pytest.mark.parametrize("avoid", ["a", "b", "c"])
    def test_it_does_not_depend_on_the_copies_that_are_read(self, avoid: str) -> None:
        assert self.version(avoid=avoid) == self.version()

    def test_nor_on_whether_all_copies_are_there_yet(self) -> None:
        some = {key: COPIES[key] for key in (placement_key("a", G), placement_key("c", "urn:other"))}
        assert self.version(copies=some) == self.version()

    def test_what_is_as_it_was_before_is_something_new(self) -> None:
        again = {key: copy._replace(version=9) for key, copy in COPIES.items()}
        assert self.version(copies=again) != self.version()

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"claims": {"2": claim("urn:other", "theirs")}}, id="withdrawn"),
            pytest.param({"copies": copies(a="newer", b="newer") | copies("urn:other", b="theirs")}, id="replaced"),
            pytest.param({"copies": copies(a="new", b="new")}, id="not placed yet"),
            pytest.param(
                {"claims": CLAIMS | {"0": claim("urn:third")}, "copies": COPIES | copies("urn:third", a="new")},
                id="added",
            ),
            pytest.param({"avoid": "bc"}, id="missing"),
            pytest.param({"view": RingView(Ring(2, tuple(THREE.nodes.values()), 150, 2))}, id="another epoch"),
        ],
    )
    def test_it_changes_with_what_is_shown(self, changed: dict[str, Any]) -> None:
        assert self.version(**changed) != self.version()

    def test_what_two_graphs_say_exchanged_is_a_change(self) -> None:
        claims = {"1": claim(digest="theirs"), "2": claim("urn:other", "new")}
        held = copies(a="theirs") | copies("urn:other", b="new")

        assert self.version(claims=claims, copies=held) != self.version()


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


class Change(NamedTuple):
    """Something that happens to the tables or to the ring."""

    what: str
    name: str
    graph: str
    digest: str
    number: int


CHANGES = st.builds(
    Change,
    st.sampled_from(["claim", "withdraw", "copy", "copy", "delete", "up", "suspect", "down", "anything", "list"]),
    st.sampled_from("abcd"),
    st.sampled_from([G, "urn:1", "urn:2"]),
    st.sampled_from(["new", "old", ""]),
    st.integers(0, 3),
)


@given(st.lists(CHANGES, max_size=40), st.frozensets(st.sampled_from("abcd"), max_size=2))
def test_what_is_worked_out_change_by_change_is_what_the_tables_say(
    changes: list[Change], avoid: frozenset[str]
) -> None:
    claims: dict[str, OfferingHead] = {}
    held: dict[str, Replica] = {}
    states: dict[str, NodeState] = {"a": "up", "b": "up", "c": "up"}
    epoch = 1
    view = RingView(Ring(epoch, tuple(Node(n, f"http://{n}", state) for n, state in states.items()), 10, 2))
    listings: dict[str, NodeGraphs] = {}
    directory = ReplicaSelector(lambda: view, lambda: dict(listings))
    directory.claims, directory.replicas = claims, held
    acknowledged: dict[str, float] = {}
    directory.snapshot()
    for change in changes:
        key = placement_key(change.name, change.graph)
        if change.what == "claim":
            old = claims.get(change.name)
            claims[change.name] = claim(change.graph, change.digest or "new", change.number)
            directory.claim_changed(change.name, old, claims[change.name])
        elif change.what == "withdraw" and change.name in claims:
            directory.claim_changed(change.name, claims.pop(change.name), None)
        elif change.what == "copy":
            before = held.get(key)
            held[key] = Replica(change.digest, change.number)
            directory.replica_changed(key, before, held[key])
            acknowledged[key] = time.monotonic()
        elif change.what == "delete" and key in held:
            directory.replica_changed(key, held.pop(key), None)
        elif change.what in ("up", "suspect", "down"):
            states[change.name] = change.what  # type: ignore[assignment]
            epoch += 1
            view = RingView(Ring(epoch, tuple(Node(n, f"http://{n}", state) for n, state in states.items()), 10, 2))
            directory.nodes_changed()
        elif change.what == "list":
            listed = frozenset([G, "urn:1", "urn:2"][: change.number])
            listings[change.name] = NodeGraphs(listed, time.monotonic())
            directory.nodes_changed()
        elif change.what == "anything":
            directory.changed()
            directory.snapshot()
            acknowledged = dict.fromkeys(held, time.monotonic())

        there = {}
        for key, copy in held.items():
            node, graph = split_placement_key(key)
            listing = listings.get(node)
            if listing is None or graph in (listing.graphs or ()) or acknowledged[key] > listing.began:
                there[key] = copy
        one, other = directory.snapshot(avoid), take_snapshot(view, claims, there, avoid)
        if not listings:
            assert (one.version, one.unavailable, one.tombstoned) == (
                other.version,
                other.unavailable,
                other.tombstoned,
            )
            assert (one.sources, one.source_of.keys()) == (other.sources, other.source_of.keys())
        for graph, node in one.source_of.items():
            said = {name: own.digest for name in "abcd" if (own := there.get(placement_key(name, graph))) is not None}
            # Of copies that say the same it may be another owner's, but no leftover's, which are deleted any moment.
            if holder := other.source_of.get(graph):
                assert said.get(node) == said[holder]
                if len(said) > 2:
                    assert node == holder


class TestReplicaSelector:
    @pytest.fixture
    def directory(self) -> ReplicaSelector:
        directory = ReplicaSelector(lambda: THREE)
        directory.claims = {"0xa": claim()}
        directory.replicas = copies(a="new")
        return directory

    def test_a_graph_is_found_by_address_and_by_iri(self, directory: ReplicaSelector) -> None:
        assert directory.graph_of("0xa") == G
        assert directory.graph_of(G) == G
        assert directory.graph_of("0xb") is None
        assert directory.graph_of("") is None

    def test_an_address_that_looks_like_another_s_graph_is_an_address_first(self, directory: ReplicaSelector) -> None:
        directory.claims = {G: claim("urn:other"), "0xa": claim()}

        assert directory.graph_of(G) == "urn:other"

    def test_a_snapshot_is_kept_until_something_changes(self, directory: ReplicaSelector) -> None:
        before = directory.snapshot()
        assert directory.snapshot() is before

        directory.replicas = copies(b="new")
        directory.changed()

        assert directory.snapshot().source_of == {G: "b"}

    def test_snapshots_that_avoid_nodes_are_kept_apart(self, directory: ReplicaSelector) -> None:
        directory.replicas = copies(a="new", b="new")

        assert directory.snapshot(frozenset("a")).source_of == {G: "b"}
        assert directory.snapshot(frozenset("b")).source_of == {G: "a"}

    def test_rows_that_come_and_go_meanwhile_disturb_nobody(self, directory: ReplicaSelector) -> None:
        """Tables change in threads of their own."""
        claims: TableContent[OfferingHead] = TableContent(decode=records.read_head, on_change=directory.changed)
        kept: TableContent[Replica] = TableContent(decode=decode_replica, on_change=directory.changed)
        directory.claims, directory.replicas = claims, kept
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


class TestContents:
    """The contents that a view shows."""

    def contents(self, replicas: dict[str, Replica], *digests: str, of: RingView = THREE) -> dict[str, str]:
        claims = {str(number): claim(digest=digest, at=number + 1) for number, digest in enumerate(digests)}
        return dict(take_snapshot(of, claims, replicas).contents)

    def test_present_content_counts_as_soon_as_one_node_has_acknowledged_it(self) -> None:
        assert self.contents(copies(a="old", b="new"), "new") == {G: "new"}
        assert self.contents(
            {placement_key("a", G): Replica("new", 1), placement_key("b", G): Replica("old", 7)}, "new"
        ) == {G: "new"}

    def test_until_then_the_newest_acknowledged_one_does(self) -> None:
        held = {placement_key("a", G): Replica("older", 3), placement_key("b", G): Replica("old", 7)}
        assert self.contents(held, "new") == {G: "old"}

    def test_nodes_that_are_down_change_nothing(self) -> None:
        assert self.contents(copies(a="new", b="old"), "new", of=ring(a="down", b="up")) == {G: "new"}
        snapshot = take_snapshot(ring(a="down", b="down"), {"1": claim()}, copies(a="new", b="new"))
        assert (snapshot.contents, snapshot.unavailable, snapshot.unlisted) == ({G: "new"}, ("a", "b"), ())

    def test_of_rivals_the_first_claim_counts(self) -> None:
        assert self.contents(copies(a="first", b="second"), "first", "second") == {G: "first"}

    def test_graphs_without_claim_or_copy_have_none(self) -> None:
        assert self.contents(copies(a="new")) == {}
        assert self.contents({}, "new") == {}
        assert self.contents({placement_key("a", G): Replica("", 1, refused="new")}, "new") == {}

    def test_graphs_of_nodes_owners_have_none(self) -> None:
        assert self.contents({placement_key("a", G): Replica("", 1, foreign=True)}, "new") == {}

    def test_descriptions_that_no_node_has_acknowledged_are_missing_from_a_view(self) -> None:
        owners = tuple(sorted(THREE.owners(G)))
        snapshot = take_snapshot(THREE, {"1": claim()}, {})
        assert snapshot.unlisted == snapshot.unavailable == owners

    def test_content_comes_from_any_claim_with_that_digest(self) -> None:
        selector = ReplicaSelector(lambda: THREE)
        rows = {
            address: records.read_compressed(
                address,
                records.to_text(
                    Offering(graph=G, digest=digest, claimed_at=1, triples=f"<urn:{digest}> <urn:p> 'é' .\n")
                ),
            )
            for address, digest in (("1", "first"), ("2", "second"))
        }
        selector.claims = dict(rows)
        selector.snapshot()
        assert selector.content(G, "second") == "<urn:second> <urn:p> 'é' .\n"
        assert selector.content(G, "third") is None
        assert selector.content("urn:other", "first") is None
