"""Quads that are kept of earlier queries."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, Pattern
from federation.caching.quad_cache import QuadCache, covering, wanted
from federation.errors import NotCachedError
from federation.evaluation.cached_store import CachedStore
from federation.evaluation.messages import UpdateCache
from federation.fetching.merge import MergedQuads
from federation.source_selection import Snapshot, Source

A = Source("a", "http://a/")
EVERYTHING = (Pattern(ANY_NAMED_GRAPH),)
SEES_NOTHING = analyse("ASK {}")
LONG = 1000.0
Content = dict[str, frozenset[str]]


def rows(content: Content) -> MergedQuads:
    pulled = MergedQuads(frozenset(), None, "urn:skolem:", 1000)
    for graph, names in content.items():
        lines = b"".join(f"<urn:{name}>\t<urn:p>\t1\t<{graph}>\n".encode() for name in sorted(names))
        pulled.add(A, 0, lines, lambda graph: True)
    return pulled


def snapshot(fingerprints: dict[str, int], untracked: frozenset[str] = frozenset()) -> Snapshot:
    return Snapshot(
        (A,),
        version=repr((sorted(fingerprints.items()), sorted(untracked))),
        fingerprints=fingerprints,
        untracked=untracked,
    )


def kept_of(
    content: Content, fingerprints: dict[str, int], untracked: frozenset[str] = frozenset(), **ages: float
) -> QuadCache:
    kept = QuadCache(100, ages.get("seconds", LONG))
    assert kept.replace(
        snapshot(fingerprints, untracked), rows(content), EVERYTHING, time.monotonic() - ages.get("age", 0)
    )
    return kept


def store_of(kept: QuadCache, generation: int = -1, store: CachedStore | None = None) -> tuple[CachedStore, int]:
    """An evaluator's store, brought up to date."""
    store = store or CachedStore()
    delta = kept.delta(generation, SEES_NOTHING)
    if delta is None:
        return store, generation
    store.change(UpdateCache(delta.reset, delta.removed, delta.quads, delta.graphs))
    return store, delta.generation


def content(store: CachedStore) -> Content:
    return {
        name.value: frozenset(quad.subject.value[4:] for quad in store.store.quads_for_pattern(None, None, None, name))  # type: ignore[union-attr]
        for name in store.store.named_graphs()
    }


@pytest.mark.parametrize("text", ["ASK { ?s <urn:p> ?o }", "SELECT ?g { GRAPH ?g {} }"])
def test_what_is_forgotten_in_the_meantime_is_not_answered_from(text: str) -> None:
    kept = kept_of({"urn:g": frozenset("a")}, {"urn:g": 1})
    plan = analyse(text)
    assert kept.delta(-1, plan) is not None
    kept.forget()
    with pytest.raises(NotCachedError):
        kept.delta(-1, plan)


def test_nothing_is_kept_at_first() -> None:
    kept = QuadCache(100, LONG)
    assert not kept.covers(analyse("SELECT * { ?s <urn:p> ?o }"))
    assert not kept.is_current(snapshot({}))
    assert kept.count == 0


def test_what_is_kept_is_current_while_the_catalogue_says_the_same() -> None:
    kept = kept_of({"urn:g": frozenset("a")}, {"urn:g": 1})
    assert kept.is_current(snapshot({"urn:g": 1}))
    assert not kept.is_current(snapshot({"urn:g": 2}))
    assert not kept.is_current(snapshot({}))
    assert kept.count == 1


def test_a_version_that_nobody_knows_is_never_current() -> None:
    kept = QuadCache(100, LONG)
    unknown = Snapshot((A,), untracked=frozenset())
    kept.replace(unknown, rows({}), EVERYTHING, time.monotonic())
    assert not kept.is_current(unknown)


def test_graphs_whose_marks_are_others_have_changed() -> None:
    kept = kept_of({}, {"urn:g": 1, "urn:h": 1, "urn:gone": 1}, frozenset({"urn:own"}))
    assert kept.changed(snapshot({"urn:g": 2, "urn:h": 1, "urn:new": 1}, frozenset({"urn:own", "urn:other"}))) == {
        "urn:g",
        "urn:new",
        "urn:other",
    }


def test_graphs_of_which_nobody_says_when_they_change_are_pulled_anew_in_time() -> None:
    known = frozenset({"urn:own"})
    young, ageing, old = (kept_of({}, {"urn:g": 1}, known, age=age) for age in (0, 0.8 * LONG, 1.1 * LONG))
    seen = snapshot({"urn:g": 1}, known)
    assert [kept.is_current(seen) for kept in (young, ageing, old)] == [True, True, False]
    assert [kept.is_ageing() for kept in (young, ageing, old)] == [False, True, True]
    assert [kept.changed(seen) for kept in (young, ageing, old)] == [frozenset(), known, known]
    old.update(seen, known, rows({}), time.monotonic())
    assert old.is_current(seen)
    assert not old.is_ageing()


def test_graphs_of_which_a_copy_has_gone_since_are_pulled_anew_whatever_their_marks() -> None:
    """They may have been read where they had just gone."""
    kept = kept_of({"urn:h": frozenset("a")}, {"urn:g": 1, "urn:h": 1})
    later = replace(snapshot({"urn:g": 1, "urn:h": 1}), revision=7, removed_at={"urn:g": 5, "urn:h": 0, "urn:other": 6})
    assert not kept.is_current(later)
    assert kept.changed(later) == {"urn:g"}
    kept.update(later, frozenset({"urn:g"}), rows({"urn:g": frozenset("a")}), time.monotonic())
    assert kept.is_current(later)
    assert kept.changed(later) == frozenset()


def test_placed_graphs_do_not_age() -> None:
    kept = kept_of({"urn:g": frozenset("a")}, {"urn:g": 1}, age=10 * LONG)
    assert kept.is_current(snapshot({"urn:g": 1}))
    assert not kept.is_ageing()
    assert kept.seconds_left() == LONG


def test_answers_are_kept_no_longer_than_what_they_were_made_of() -> None:
    kept = kept_of({}, {}, frozenset({"urn:own"}), age=0.6 * LONG)
    assert 0.3 * LONG < kept.seconds_left() <= 0.4 * LONG


def test_what_came_of_a_graph_that_nobody_lists_ages_and_goes() -> None:
    """It was put on its node and deleted between two listings."""
    kept = kept_of({"urn:passing": frozenset("a")}, {"urn:g": 1}, age=1.1 * LONG)
    seen = snapshot({"urn:g": 1})
    assert not kept.is_current(seen)
    store, generation = store_of(kept)
    assert content(store)["urn:passing"] == frozenset("a")
    kept.update(seen, kept.changed(seen), rows({}), time.monotonic())
    assert kept.is_current(seen)
    assert content(store_of(kept, generation, store)[0]) == {"urn:g": frozenset()}


def test_more_than_there_is_room_for_is_not_kept() -> None:
    kept = QuadCache(2, LONG)
    seen = snapshot({"urn:g": 1})
    assert kept.replace(seen, rows({"urn:g": frozenset("ab")}), EVERYTHING, 0)
    assert not kept.replace(seen, rows({"urn:g": frozenset("abc")}), EVERYTHING, 0)
    assert kept.is_current(seen) and kept.count == 2


def test_when_it_grows_beyond_its_room_all_is_forgotten() -> None:
    kept = QuadCache(2, LONG)
    kept.replace(snapshot({"urn:g": 1}), rows({"urn:g": frozenset("ab")}), EVERYTHING, 0)
    later = snapshot({"urn:g": 2})
    kept.update(later, frozenset({"urn:g"}), rows({"urn:g": frozenset("abc")}), time.monotonic())
    assert (kept.count, kept.patterns, kept.is_current(later)) == (0, (), False)
    with pytest.raises(NotCachedError):
        store_of(kept)


def test_an_evaluator_that_holds_all_lacks_nothing() -> None:
    kept = kept_of({"urn:g": frozenset("a")}, {"urn:g": 1})
    _, generation = store_of(kept)
    assert kept.delta(generation, SEES_NOTHING) is None


STATES = st.lists(
    st.dictionaries(st.sampled_from(["urn:g", "urn:h", "urn:i"]), st.frozensets(st.sampled_from("abc"), max_size=3)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(STATES, st.lists(st.booleans(), min_size=6, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_evaluators_hold_the_state_of_now_whenever_they_looked_last(
    states: list[Content], looks: list[bool], anew: list[bool]
) -> None:
    kept = QuadCache(100, LONG)
    regular, rare = (CachedStore(), -1), (CachedStore(), -1)
    for number, (state, looked, replaced) in enumerate(zip(states, looks, anew, strict=False)):
        fingerprints = {graph: hash(names) for graph, names in state.items()}
        seen = snapshot(fingerprints)
        if replaced or not number:
            kept.replace(seen, rows(state), EVERYTHING, time.monotonic())
        else:
            changed = kept.changed(seen)
            kept.update(seen, changed, rows({graph: state[graph] for graph in changed}), time.monotonic())
        assert kept.is_current(seen)
        regular = store_of(kept, regular[1], regular[0])
        assert content(regular[0]) == state
        if looked:
            rare = store_of(kept, rare[1], rare[0])
            assert content(rare[0]) == state


@pytest.mark.parametrize(
    ("mine", "other", "covered"),
    [
        (Pattern("?"), Pattern("", "<a>", "<b>", "<c>"), True),
        (Pattern("?", None, "<p>"), Pattern("urn:g", None, "<p>", "<o>"), True),
        (Pattern("?", None, "<p>"), Pattern("?"), False),
        (Pattern("?", None, "<p>"), Pattern("?", None, "<q>"), False),
    ],
)
def test_a_pattern_covers_those_that_match_less(mine: Pattern, other: Pattern, covered: bool) -> None:
    assert (mine in set(covering(other))) is covered


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s <urn:p> 'x' . <urn:s> ?p ?o . ?s a <urn:C> }",
        "SELECT * { GRAPH <urn:g> { ?s <urn:p>/<urn:q>* ?o } }",
        "SELECT * { ?s ?p ?o MINUS { ?s !<urn:p> <urn:o> } }",
    ],
)
def test_what_is_to_be_kept_for_a_query_covers_it(text: str) -> None:
    kept, plan = QuadCache(100, LONG), analyse(text)
    assert not kept.covers(plan)
    kept.replace(snapshot({}), rows({}), wanted(plan), 0)
    assert kept.covers(plan)
