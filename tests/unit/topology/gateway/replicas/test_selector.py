"""Each graph is read from one node that has its best copy; the nodes and graphs that are missing are named."""

from __future__ import annotations

import threading
import time

import pytest

from catena_core.table import TableContent
from federation.source_selection import Source
from tests.helpers.replicas import THREE, G, claim, copies, ring, take_snapshot
from topology import records
from topology.gateway.replicas.ranking import Replica, decode_replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import (
    Node,
    NodeState,
    Offering,
    OfferingHead,
    Placement,
    Ring,
    placement_key,
)
from topology.ring import RingView


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


def test_nodes_to_avoid_are_as_good_as_down() -> None:
    snapshot = take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("a"))

    assert snapshot.source_of == {G: "b"}
    assert [source.id for source in snapshot.sources] == ["b", "c"]
    assert take_snapshot(THREE, {"1": claim()}, copies(a="new", b="new"), frozenset("ab")).unavailable == ("a", "b")


def test_a_copy_that_was_refused_is_none() -> None:
    held = decode_replica("", records.to_text(Placement("a", G, "1", 5, 1, 0, "", "new")))
    assert held is not None

    assert take_snapshot(THREE, {"1": claim()}, {placement_key("a", G): held}).source_of == {}


def test_a_write_that_failed_before_anything_was_put_there_is_no_copy() -> None:
    assert decode_replica("", records.to_text(Placement("a", G, "1", 5, 1, 0, problem="no", unclaimed=True))) is None


def test_nodes_that_do_not_take_graphs_have_problems() -> None:
    selector = ReplicaSelector(lambda: THREE)
    selector.replicas = {
        placement_key("a", G): Replica("", 1, problem="disk full"),
        placement_key("a", "urn:other"): Replica("", 1, refused="d", problem="too long"),
        placement_key("b", G): Replica("", 1, refused="d", foreign=True, problem="an owner's"),
    }

    assert selector.problems() == {"a": "it does not take 2 graphs: disk full"}


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
