"""Joins over the default graph, pulled in rounds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyoxigraph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.analysis.analyse import analyse
from federation.analysis.plan import DEFAULT_GRAPH, Dataset, Pattern, PushedBGP
from federation.fetching.followed_path import MOST_TERMS, Found, Narrowed
from federation.fetching.merge import MergedQuads
from federation.fetching.semi_join import SemiJoin, SemiJoins, WidePatterns
from federation.fetching.subquery import subquery
from federation.source_selection import Source

ALL = Dataset(None, None)
A = Source("a", "http://a/")
LINKS, TITLE, KIND = "<urn:links>", "<urn:title>", "<urn:kind>"
# Things of a kind, what they link to, and the titles of these.
CHAIN = PushedBGP(DEFAULT_GRAPH, (("?0", KIND, "<urn:K>"), ("?0", LINKS, "?1"), ("?1", TITLE, "?2")))


def join(bgp: PushedBGP = CHAIN, wide: WidePatterns | None = None) -> SemiJoin:
    return SemiJoin(bgp, WidePatterns() if wide is None else wide)


def values(narrowed: Narrowed) -> dict[int, set[str]]:
    """Return the terms that the variables of a pattern are narrowed to, by their numbers in the join."""
    return {narrowed.numbers[local]: set(terms) for local, terms in narrowed.bgp.values}


def test_the_narrow_pattern_comes_first_and_narrows_those_that_share_its_variables() -> None:
    semi_join = join()
    first = semi_join.next_round()
    assert list(first) == [0]
    semi_join.found(0, first[0], {0: {"<urn:s>"}})
    second = semi_join.next_round()
    assert {place: values(narrowed) for place, narrowed in second.items()} == {1: {0: {"<urn:s>"}}}
    semi_join.found(1, second[1], {0: {"<urn:s>"}, 1: {"<urn:o>", '"literal"'}})
    assert semi_join.next_round() == {}
    # Those that found terms are asked for as they were.
    assert [values(narrowed) for narrowed in semi_join.all()] == [{}, {0: {"<urn:s>"}}, {1: {"<urn:o>"}}]
    assert semi_join.finders() == [first[0].bgp, second[1].bgp]


def test_where_nothing_is_narrow_there_are_no_rounds() -> None:
    semi_join = join(PushedBGP(DEFAULT_GRAPH, (("?0", LINKS, "?1"), ("?1", TITLE, "?2"))))
    assert semi_join.next_round() == {}
    assert [narrowed.bgp.values for narrowed in semi_join.all()] == [(), ()]


def test_what_nothing_else_shares_is_left_to_the_last_request() -> None:
    assert join(PushedBGP(DEFAULT_GRAPH, (("?0", KIND, "<urn:K>"), ("?0", LINKS, "<urn:o>")))).next_round() == {}


def test_two_patterns_that_find_terms_of_one_variable_leave_what_both_found() -> None:
    semi_join = join(PushedBGP(DEFAULT_GRAPH, (("?0", KIND, "<urn:K>"), ("?0", LINKS, "<urn:o>"), ("?0", TITLE, "?1"))))
    first = semi_join.next_round()
    assert list(first) == [0, 1]
    semi_join.found(0, first[0], {0: {"<urn:a>", "<urn:b>"}})
    semi_join.found(1, first[1], {0: {"<urn:b>", "<urn:c>"}})
    assert values(semi_join.all()[2]) == {0: {"<urn:b>"}}


def test_conditions_and_values_of_the_join_go_with_their_patterns() -> None:
    bgp = PushedBGP(
        DEFAULT_GRAPH,
        (("?0", LINKS, "?1"), ("?1", TITLE, "?2")),
        ((0, ("<urn:a>", "<urn:b>")),),
        ("\0002\000 > 1", "\0001\000 = \0002\000", "\0000\000 = \0002\000"),
    )
    first, second = join(bgp).all()
    assert (values(first), first.bgp.filters) == ({0: {"<urn:a>", "<urn:b>"}}, ())
    # By the numbers of the pattern; what is about variables of two patterns is left to the evaluator.
    assert (values(second), second.bgp.filters) == ({}, ("\0001\000 > 1", "\0000\000 = \0001\000"))
    assert second.numbers == (1, 2)


@pytest.mark.parametrize(
    "term",
    ["_:b", "<urn:no iri>", "<urn:x> } SERVICE <http://127.0.0.1/> { ?s ?p ?o", "<urn:x\\u003E>", "<relative>", "<>"],
)
def test_terms_that_nodes_cannot_be_asked_for_narrow_nothing(term: str) -> None:
    semi_join = join()
    first = semi_join.next_round()
    semi_join.found(0, first[0], {0: {"<urn:s>", term}})
    assert semi_join.next_round() == {}
    assert [values(narrowed) for narrowed in semi_join.all()] == [{}, {}, {}]


def test_too_many_terms_narrow_nothing_and_are_remembered() -> None:
    wide = WidePatterns()
    semi_join = join(wide=wide)
    first = semi_join.next_round()
    semi_join.found(0, first[0], {0: {f"<urn:{n}>" for n in range(MOST_TERMS + 1)}})
    assert values(semi_join.all()[1]) == {}
    assert first[0].bgp in wide
    assert join(wide=wide).next_round() == {}


def test_terms_that_fill_a_request_narrow_nothing() -> None:
    semi_join = join()
    semi_join.found(0, semi_join.next_round()[0], {0: {f"<urn:{'x' * 400}{n}>" for n in range(MOST_TERMS // 2)}})
    assert values(semi_join.all()[1]) == {}


def test_nothing_found_leaves_nothing_to_look_for() -> None:
    semi_join = join()
    semi_join.found(0, semi_join.next_round()[0], {0: set()})
    (second,) = semi_join.next_round().values()
    assert values(second) == {0: set()}


@pytest.mark.parametrize(
    ("now", "holds"),
    [({"<urn:s>"}, True), (set(), True), ({"<urn:s>", '"literal"'}, True), ({"<urn:s>", "<urn:new>"}, False)],
)
def test_rounds_hold_while_nothing_new_matches(now: set[str], holds: bool) -> None:
    semi_join = join()
    (first,) = semi_join.next_round().values()
    semi_join.found(0, first, {0: {"<urn:s>"}})
    assert semi_join.holds({first.bgp: {0: now}}) is holds


def test_rounds_do_not_hold_when_it_is_not_known_what_matches() -> None:
    semi_join = join()
    semi_join.found(0, semi_join.next_round()[0], {0: {"<urn:s>"}})
    assert not semi_join.holds({})


def test_a_variable_that_has_narrowed_has_to_hold_although_a_blank_node_was_found_later() -> None:
    bgp = PushedBGP(
        DEFAULT_GRAPH,
        (("?0", KIND, "<urn:K>"), ("?0", LINKS, "?1"), ("?1", KIND, "?2"), ("?1", TITLE, "?3"), ("?0", TITLE, "?2")),
    )
    semi_join = join(bgp)
    (first,) = semi_join.next_round().values()
    semi_join.found(0, first, {0: {"<urn:s>"}})
    second = semi_join.next_round()
    assert values(second[1]) == {0: {"<urn:s>"}}
    semi_join.found(1, second[1], {0: {"_:b"}, 1: {"<urn:o>"}})
    later: dict[PushedBGP, Found] = {first.bgp: {0: {"<urn:s>", "<urn:new>"}}, second[1].bgp: {0: set(), 1: set()}}
    assert not semi_join.holds(later)


def test_plain_patterns_are_those_of_the_join() -> None:
    assert join().plainly() == [
        Pattern(DEFAULT_GRAPH, None, KIND, "<urn:K>"),
        Pattern(DEFAULT_GRAPH, None, LINKS, None),
        Pattern(DEFAULT_GRAPH, None, TITLE, None),
    ]


NODES = ["<urn:a>", "<urn:b>", "<urn:K>", "_:b"]
TRIPLES = st.tuples(st.sampled_from(NODES), st.sampled_from([LINKS, KIND]), st.sampled_from([*NODES, '"l"']))
ENDS = st.sampled_from(["?0", "?1", "?2", "<urn:a>", "<urn:K>"])
PATTERNS = st.tuples(ENDS, st.sampled_from([LINKS, KIND]), ENDS)


def pull(
    store: pyoxigraph.Store,
    bgps: Sequence[PushedBGP],
    watched: Sequence[PushedBGP],
    patterns: Sequence[Pattern] = (),
) -> MergedQuads:
    rows = MergedQuads(None, frozenset(), "urn:skolem:", 1000, watched)
    asked = subquery(patterns, (), ALL, bgps, watched)
    if asked:
        found = store.query(asked.text)
        assert isinstance(found, pyoxigraph.QuerySolutions)
        body = found.serialize(format=pyoxigraph.QueryResultsFormat.TSV)
        assert body is not None
        rows.add(A, 0, body.partition(b"\n")[2], lambda graph: True, asked.bgps)
    return rows


def matches(quads: bytes, bgp: PushedBGP) -> set[tuple[str, ...]]:
    store = pyoxigraph.Store()
    store.extend(pyoxigraph.parse(quads, pyoxigraph.RdfFormat.N_QUADS, rename_blank_nodes=False))
    text = " . ".join(" ".join(term.replace("?", "?v") for term in triple) for triple in bgp.triples)
    found = store.query(f"SELECT * {{ {text} }}")
    assert isinstance(found, pyoxigraph.QuerySolutions)
    return {tuple(str(term).replace("_:n0_", "_:") for term in solution) for solution in found}


@settings(max_examples=200, deadline=None)
@given(st.lists(TRIPLES, max_size=12), st.lists(PATTERNS, min_size=2, max_size=4, unique=True))
def test_what_is_pulled_in_rounds_has_every_match(
    triples: list[tuple[str, str, str]], patterns: list[tuple[str, str, str]]
) -> None:
    bgp = PushedBGP(DEFAULT_GRAPH, tuple(triple for triple in patterns if "?" in f"{triple}") or (("?0", KIND, "?1"),))
    store = pyoxigraph.Store()
    document = "".join(f"{' '.join(triple)} <urn:g> .\n" for triple in triples).encode()
    store.extend(pyoxigraph.parse(document, pyoxigraph.RdfFormat.N_QUADS, rename_blank_nodes=False))
    joins = SemiJoins([bgp], WidePatterns())
    while asked := joins.next_round():
        joins.found(pull(store, asked, asked).terms)
    rows = pull(store, joins.narrowed(), joins.finders())
    assert joins.hold(rows.terms) or not joins.finders()
    whole = document.replace(b" <urn:g> .", b" .")
    assert matches(rows.quads(), bgp) == matches(whole, bgp)


def shown(solutions: pyoxigraph.QuerySolutions) -> list[str]:
    """Blank nodes look all alike: their labels differ."""
    return sorted(re.sub(r"_:\S+", "_:", " ".join(map(str, solution))) for solution in solutions)


def paths(path: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("^({})".format, path),
        st.builds("({}){}".format, path, st.sampled_from("*+?")),
        st.builds("({}/{})".format, path, path),
        st.builds("({}|{})".format, path, path),
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(TRIPLES, max_size=12),
    st.recursive(st.sampled_from([LINKS, KIND]), paths, max_leaves=4),
    st.sampled_from(["<urn:a> {} ?x", "?x {} <urn:a>", "<urn:a> {} <urn:b>"]),
)
def test_a_path_that_is_followed_finds_every_end(triples: list[tuple[str, str, str]], path: str, pattern: str) -> None:
    text = f"SELECT * {{ <urn:a> <urn:root> ?root . {pattern.format(path)} }}"
    plan = analyse(text)
    document = "".join(
        f"{' '.join(triple)} <urn:g> .\n" for triple in [*triples, ("<urn:a>", "<urn:root>", '"root"')]
    ).encode()
    nodes, whole, pulled = pyoxigraph.Store(), pyoxigraph.Store(), pyoxigraph.Store()
    nodes.extend(pyoxigraph.parse(document, pyoxigraph.RdfFormat.N_QUADS, rename_blank_nodes=False))
    whole.load(document.replace(b" <urn:g> .", b" ."), pyoxigraph.RdfFormat.N_QUADS)
    joins = SemiJoins(plan.joins, WidePatterns(), plan.walks)
    while asked := joins.next_round():
        joins.found(pull(nodes, asked, asked).terms)
    rows = pull(nodes, [*joins.narrowed(), *plan.bgps], joins.finders(), plan.others)
    assert joins.hold(rows.terms)
    pulled.load(rows.quads(), pyoxigraph.RdfFormat.N_QUADS)
    found, right = pulled.query(text), whole.query(text)
    assert isinstance(found, pyoxigraph.QuerySolutions) and isinstance(right, pyoxigraph.QuerySolutions)
    assert shown(found) == shown(right)
