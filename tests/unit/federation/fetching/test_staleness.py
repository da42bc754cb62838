"""Which graphs have to be asked for once more after nodes have answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.fetching.staleness import Round, moved
from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source

A, B = Source("a", "http://a/"), Source("b", "http://b/")
G = "urn:g"
ALL = Subquery("SELECT 1", (), {}, None)
ONLY_G = Subquery("SELECT 2", (), {}, frozenset({"urn:g"}))


def placed(node: str, mark: int = 1, **others: Any) -> dict[str, Any]:
    return {"source_of": {G: node}, "fingerprints": {G: mark}, **others}


OWN: dict[str, Any] = {}
LISTED_TWICE = {"source_of": {G: "a"}}
WITHHELD = {"tombstoned": frozenset({G})}
NOWHERE = {"source_of": {G: ""}}
TOUCHED: dict[str, Any] = {"moved_at": {G: 2}}


def has_moved(before: dict[str, Any], now: dict[str, Any], graphs: frozenset[str] | None = None) -> bool:
    found = moved(Snapshot((A, B), revision=1, **before), Snapshot(**{"sources": (A, B), "revision": 2, **now}), graphs)
    assert found <= {G}
    return bool(found)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(placed("a"), placed("a", 2), id="written in its place"),
        pytest.param(placed("a"), placed("b", 2), id="written on another node first"),
        pytest.param(placed("a"), WITHHELD, id="withdrawn"),
        pytest.param(placed("a"), NOWHERE, id="gone with its node: there is nobody to ask"),
        pytest.param(placed("a"), placed("b", sources=(B,), unconfirmed=frozenset({G})), id="left in doubt"),
        pytest.param(WITHHELD, WITHHELD, id="withdrawn before"),
        pytest.param(OWN, OWN, id="nobody's"),
        pytest.param(LISTED_TWICE, LISTED_TWICE, id="nobody's, on two nodes"),
    ],
)
def test_what_was_there_all_the_time_or_is_nowhere_now_has_not_moved(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    assert not has_moved(before, now)
    assert not has_moved(before, now, frozenset({G}))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(placed("a"), placed("b", **TOUCHED), id="come to another node"),
        pytest.param(placed("a"), placed("a", **TOUCHED), id="away and back"),
        pytest.param(placed("a"), placed("b", sources=(B,)), id="gone with its node, and on another one"),
        pytest.param(placed("a"), OWN, id="known to nobody any more"),
        pytest.param(OWN, placed("a"), id="placed meanwhile"),
        pytest.param(OWN, LISTED_TWICE, id="listed by a second node"),
        pytest.param(LISTED_TWICE, OWN, id="listed by one node only"),
        pytest.param(LISTED_TWICE, {"source_of": {G: "b"}}, id="nobody's, read elsewhere"),
        pytest.param(NOWHERE, placed("a"), id="back with its node"),
        pytest.param(WITHHELD, placed("a"), id="listed again"),
        pytest.param(OWN, WITHHELD, id="withdrawn as soon as placed"),
    ],
)
def test_what_came_or_went_or_is_read_in_another_way_has_moved(before: dict[str, Any], now: dict[str, Any]) -> None:
    assert has_moved(before, now)
    assert has_moved(before, now, frozenset({G}))
    assert not has_moved(before, now, frozenset({"urn:h"}))


def test_what_was_touched_before_the_nodes_were_asked_has_not_moved() -> None:
    assert not has_moved(placed("a", moved_at={G: 1}), placed("a", moved_at={G: 1}))


def test_nothing_has_moved_when_nothing_has_changed() -> None:
    before = Snapshot((A, B), {G: "a"}, revision=1)
    assert moved(before, Snapshot((A, B), {G: "b"}, revision=1), None) == frozenset()


GRAPHS = ["urn:g", "urn:h", "urn:i"]
HOLDERS = st.dictionaries(st.sampled_from(GRAPHS), st.sampled_from(["a", "b", "c", ""]))
NAMES = st.frozensets(st.sampled_from(GRAPHS))


@st.composite
def snapshots(draw: st.DrawFn, revision: int) -> Snapshot:
    """As a directory takes them: what is tombstoned is read from nowhere, and only what is read has a mark."""
    tombstoned = draw(NAMES)
    source_of = {graph: node for graph, node in draw(HOLDERS).items() if graph not in tombstoned}
    return Snapshot(
        draw(st.sampled_from([(A, B), (A,), (B,)])),
        source_of,
        tombstoned,
        revision=revision,
        moved_at=draw(st.dictionaries(st.sampled_from(sorted(source_of) or GRAPHS[:1]), st.integers(1, revision))),
        unconfirmed=draw(NAMES) & source_of.keys(),
        fingerprints={graph: 1 for graph, node in source_of.items() if node and draw(st.booleans())},
    )


@given(snapshots(1), snapshots(2))
def test_of_all_graphs_those_have_moved_that_have_when_they_are_asked_for_by_name(
    before: Snapshot, now: Snapshot
) -> None:
    names = before.source_of.keys() | now.source_of.keys() | before.tombstoned | now.tombstoned
    assert moved(before, now, None) == moved(before, now, frozenset(names))


def test_each_graph_counts_from_its_holder_unless_it_has_moved_or_was_not_asked_for() -> None:
    before = Snapshot((A, B), {"urn:g": "a", "urn:h": "b", "urn:deleted": "a"}, frozenset({"urn:deleted"}))

    def counting(asked: Subquery, *moved: str) -> list[tuple[str, str]]:
        done = Round(before, asked, before, frozenset(moved), {})
        graphs = ("urn:g", "urn:h", "urn:own", "urn:deleted")
        return [(source.id, graph) for source in (A, B) for graph in graphs if done.counts(source)(graph)]

    # A graph that no list names may be on both: it counts from the first.
    assert counting(ALL) == [("a", "urn:g"), ("a", "urn:own"), ("b", "urn:h")]
    assert counting(ALL, "urn:g", "urn:own") == [("b", "urn:h")]
    assert counting(ONLY_G) == [("a", "urn:g")]


class TestMissing:
    WHOLE = Snapshot((A, B), {"urn:g": "a", "urn:h": "b"}, revision=1)
    WITHOUT_B = Snapshot((A,), {"urn:g": "a", "urn:h": ""}, unavailable=("b",), revision=2)

    def missing(self, before: Snapshot, now: Snapshot, asked: Subquery = ALL) -> set[str]:
        return Round(before, asked, now, frozenset(), {}).missing()

    def test_none_are_while_all_are_there(self) -> None:
        assert self.missing(self.WHOLE, self.WHOLE) == set()

    def test_those_that_are_not_there_are_if_their_graphs_were_asked_for(self) -> None:
        assert self.missing(self.WITHOUT_B, self.WITHOUT_B) == {"b"}
        assert self.missing(self.WITHOUT_B, self.WITHOUT_B, ONLY_G) == set()

    def test_what_a_node_has_sent_before_it_went_is_not_missing(self) -> None:
        assert self.missing(self.WHOLE, self.WITHOUT_B) == set()

    def test_unless_its_graph_had_come_or_gone_meanwhile(self) -> None:
        now = Snapshot((A,), self.WITHOUT_B.source_of, unavailable=("b",), revision=2, moved_at={"urn:h": 2})
        assert self.missing(self.WHOLE, now) == {"b"}
        assert self.missing(self.WHOLE, now, ONLY_G) == set()

    def test_a_graph_in_doubt_is(self) -> None:
        unconfirmed = Snapshot((A, B), {"urn:g": "a"}, unavailable=("a",), unconfirmed=frozenset({"urn:g"}))
        assert self.missing(unconfirmed, unconfirmed, ONLY_G) == {"a"}

    def test_a_graph_of_which_nobody_knows_where_it_is_may_be(self) -> None:
        lacking = Snapshot((A,), unavailable=("b",))
        assert self.missing(lacking, lacking, ONLY_G) == {"b"}
