"""Snapshots tell what moved and what changed since earlier ones, however the rows came in."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.replicas import THREE, G, claim, copies, take_snapshot
from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import (
    Node,
    NodeState,
    OfferingHead,
    Ring,
    placement_key,
    split_placement_key,
)
from topology.ring import RingView


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
