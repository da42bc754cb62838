"""Which graphs have to be asked for once more after nodes have answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.fetching.staleness import moved
from federation.source_selection import Snapshot, Source

A, B = Source("a", "http://a/"), Source("b", "http://b/")
G = "urn:g"


def placed(node: str, mark: int = 1, **others: Any) -> dict[str, Any]:
    return {"holders": {G: node}, "marks": {G: mark}, **others}


OWN: dict[str, Any] = {}
LISTED_TWICE = {"holders": {G: "a"}}
WITHHELD = {"withheld": frozenset({G})}
NOWHERE = {"holders": {G: ""}}
TOUCHED: dict[str, Any] = {"touched": {G: 2}}


def has_moved(before: dict[str, Any], now: dict[str, Any], graphs: frozenset[str] | None = None) -> bool:
    found = moved(Snapshot((A, B), taken=1, **before), Snapshot(**{"sources": (A, B), "taken": 2, **now}), graphs)
    assert found <= {G}
    return bool(found)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(placed("a"), placed("a", 2), id="written in its place"),
        pytest.param(placed("a"), placed("b", 2), id="written on another node first"),
        pytest.param(placed("a"), WITHHELD, id="withdrawn"),
        pytest.param(placed("a"), NOWHERE, id="gone with its node: there is nobody to ask"),
        pytest.param(placed("a"), placed("b", sources=(B,), doubtful=frozenset({G})), id="left in doubt"),
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
        pytest.param(LISTED_TWICE, {"holders": {G: "b"}}, id="nobody's, read elsewhere"),
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
    assert not has_moved(placed("a", touched={G: 1}), placed("a", touched={G: 1}))


def test_nothing_has_moved_when_nothing_has_changed() -> None:
    before = Snapshot((A, B), {G: "a"}, taken=1)
    assert moved(before, Snapshot((A, B), {G: "b"}, taken=1), None) == frozenset()


GRAPHS = ["urn:g", "urn:h", "urn:i"]
HOLDERS = st.dictionaries(st.sampled_from(GRAPHS), st.sampled_from(["a", "b", "c", ""]))
NAMES = st.frozensets(st.sampled_from(GRAPHS))


@st.composite
def snapshots(draw: st.DrawFn, taken: int) -> Snapshot:
    """As a directory takes them: what is withheld is read from nowhere, and only what is read has a mark."""
    withheld = draw(NAMES)
    holders = {graph: node for graph, node in draw(HOLDERS).items() if graph not in withheld}
    return Snapshot(
        draw(st.sampled_from([(A, B), (A,), (B,)])),
        holders,
        withheld,
        taken=taken,
        touched=draw(st.dictionaries(st.sampled_from(sorted(holders) or GRAPHS[:1]), st.integers(1, taken))),
        doubtful=draw(NAMES) & holders.keys(),
        marks={graph: 1 for graph, node in holders.items() if node and draw(st.booleans())},
    )


@given(snapshots(1), snapshots(2))
def test_of_all_graphs_those_have_moved_that_have_when_they_are_asked_for_by_name(
    before: Snapshot, now: Snapshot
) -> None:
    names = before.holders.keys() | now.holders.keys() | before.withheld | now.withheld
    assert moved(before, now, None) == moved(before, now, frozenset(names))
