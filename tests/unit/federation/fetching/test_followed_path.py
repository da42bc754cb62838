"""Paths that are followed from a constant: step by step, or at once within a graph; and where they are given up."""

from __future__ import annotations

import pytest

from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern, PushedBGP, Walk
from federation.fetching import followed_path
from federation.fetching.followed_path import MOST_TERMS, FollowedPath, Narrowed
from federation.fetching.semi_join import SemiJoins, WidePatterns

LINKS, KIND = "<urn:links>", "<urn:kind>"
ROOM = 10**6


def path(forward: tuple[str, ...] = (LINKS,), backward: tuple[str, ...] = (), room: int = ROOM) -> FollowedPath:
    return FollowedPath(Walk(DEFAULT_GRAPH, "<urn:a>", forward, backward), room)


def asked(steps: dict[int, Narrowed] | list[Narrowed]) -> list[tuple[int, dict[int, tuple[str, ...]]]]:
    """Return the end that each step leads to, 0 for the subject and 2 for the object, and the terms it is narrowed to."""
    narrowed = steps.values() if isinstance(steps, dict) else steps
    return [(one.numbers[0], dict(one.bgp.values)) for one in narrowed]


def follow(followed: FollowedPath, *ends: str) -> None:
    """Make the next round, in which the first step leads to these terms."""
    steps = followed.next_round()
    followed.found(0, steps[0], {steps[0].numbers[0]: set(ends)})


def is_given_up(followed: FollowedPath) -> bool:
    """Return whether all triples with its predicates are wanted; make the rounds that are left."""
    while followed.next_round():
        pass
    return followed.finders() == [] and all(set(terms) == {1} for _, terms in asked(followed.all()))


def test_each_round_goes_on_from_what_is_new() -> None:
    followed = path()

    assert asked(followed.next_round()) == [(2, {0: ("<urn:a>",), 1: (LINKS,)})]
    step = Narrowed(PushedBGP(DEFAULT_GRAPH, (("?0", "?1", "?2"),)), (2,))
    followed.found(0, step, {2: {"<urn:b>", "<urn:a>", '"a literal"'}})
    assert asked(followed.next_round()) == [(2, {0: ("<urn:b>",), 1: (LINKS,)})]
    followed.found(0, step, {2: {"<urn:a>"}})

    assert followed.next_round() == {}
    assert asked(followed.all()) == [(2, {0: ("<urn:a>", "<urn:b>"), 1: (LINKS,)})]
    assert followed.finders() == [one.bgp for one in followed.all()]


def test_steps_backwards_are_narrowed_by_their_objects() -> None:
    followed = path((LINKS,), (KIND,))

    assert asked(followed.next_round()) == [(2, {0: ("<urn:a>",), 1: (LINKS,)}), (0, {1: (KIND,), 2: ("<urn:a>",)})]
    assert asked(path((), (KIND,)).next_round()) == [(0, {1: (KIND,), 2: ("<urn:a>",)})]


@pytest.mark.parametrize(
    ("backward", "term", "given_up"),
    [
        ((), '"a literal"', False),
        ((KIND,), '"a literal"', True),
        ((), "_:b", True),
        ((), "<urn: >", True),
    ],
)
def test_path_is_given_up_at_a_term_that_it_may_go_on_from_and_nodes_cannot_be_asked_for(
    backward: tuple[str, ...], term: str, given_up: bool
) -> None:
    followed = path((LINKS,), backward)
    follow(followed, term)

    assert is_given_up(followed) == given_up


def test_path_is_given_up_after_too_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_path, "_MOST_STEPS", 3)
    short, long = path(), path()
    for n in range(3):
        follow(short, *([] if n == 2 else [f"<urn:{n}>"]))
        follow(long, f"<urn:{n}>")

    assert (is_given_up(short), is_given_up(long)) == (False, True)


@pytest.mark.parametrize(("more", "given_up"), [(MOST_TERMS - 1, False), (MOST_TERMS, True)])
def test_path_is_given_up_at_too_many_terms(more: int, given_up: bool) -> None:
    followed = path()
    follow(followed, *(f"<urn:{n}>" for n in range(more)))

    assert is_given_up(followed) == given_up


def test_path_is_given_up_where_its_terms_fill_a_request() -> None:
    followed = path(room=100)
    follow(followed, f"<urn:{'long' * 30}>")

    assert is_given_up(followed)


def test_guess_is_of_all_steps_within_a_graph_where_none_leads_backwards() -> None:
    followed = FollowedPath(Walk(ANY_NAMED_GRAPH, "<urn:a>", (LINKS, KIND), ()), ROOM)
    [guess] = followed.guess().values()

    assert guess.bgp.path == f"<urn:a> ({LINKS}|{KIND})*"
    assert (guess.bgp.graph, guess.bgp.values) == (ANY_NAMED_GRAPH, ((1, (LINKS, KIND)),))
    assert path((LINKS,), (KIND,)).guess() == {}
    assert not path((LINKS,), (KIND,)).take({}, {})


def test_guess_takes_the_place_of_steps() -> None:
    followed = path()
    guesses = followed.guess()

    assert followed.take(guesses, {guesses[0].bgp: {2: {"<urn:b>", "<urn:c>", '"a literal"'}}})
    assert followed.next_round() == {}
    assert asked(followed.all()) == [(2, {0: ("<urn:a>", "<urn:b>", "<urn:c>"), 1: (LINKS,)})]


@pytest.mark.parametrize("terms", [None, {"_:b"}, {f"<urn:{n}>" for n in range(MOST_TERMS)}])
def test_guess_that_found_nothing_to_go_on_from_is_not_taken(terms: set[str] | None) -> None:
    followed = path()
    guesses = followed.guess()

    assert not followed.take(guesses, {} if terms is None else {guesses[0].bgp: {2: terms}})


def test_plain_patterns_are_those_of_its_predicates() -> None:
    assert path((LINKS,), (KIND,)).plainly() == [
        Pattern(DEFAULT_GRAPH, None, LINKS),
        Pattern(DEFAULT_GRAPH, None, KIND),
    ]


@pytest.mark.parametrize("term", ["_:b", "<urn: >"])
def test_a_path_through_what_nodes_cannot_be_asked_for_is_pulled_whole(term: str) -> None:
    walk = Walk(DEFAULT_GRAPH, "<urn:a>", (LINKS,), (KIND,))
    joins = SemiJoins((), WidePatterns(), [walk])
    first = joins.next_round()
    joins.found({first[0]: {0: {"<urn:a>"}, 2: {term}}})
    assert joins.next_round() == [] == joins.finders()
    assert all(not any(number != 1 for number, _ in bgp.values) for bgp in joins.narrowed())
    assert joins.hold({})


def test_a_path_that_leads_elsewhere_by_now_does_not_hold() -> None:
    joins = SemiJoins((), WidePatterns(), [Walk(DEFAULT_GRAPH, "<urn:a>", (LINKS,), ())])
    (first,) = joins.next_round()
    joins.found({first: {0: {"<urn:a>"}, 2: {"<urn:b>", '"literal"'}}})
    (second,) = joins.next_round()
    assert dict(second.values)[0] == ("<urn:b>",)
    joins.found({second: {}})
    assert joins.next_round() == []
    (last,) = joins.narrowed()
    assert joins.hold({last: {2: {"<urn:b>"}}})
    assert not joins.hold({last: {2: {"<urn:b>", "<urn:new>"}}})
    assert not joins.hold({})
    assert joins.patterns() == [Pattern(DEFAULT_GRAPH, None, LINKS)]
