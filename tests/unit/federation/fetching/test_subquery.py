"""What nodes are asked."""

from __future__ import annotations

from urllib.parse import quote_plus

import msgspec
import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Dataset, Pattern, PushedBGP
from federation.fetching.subquery import quoted, subquery

ALL = Dataset(None, None)
TERMS = [None, *(f"<urn:{name}>" for name in "abc")]
GRAPHS = [DEFAULT_GRAPH, ANY_NAMED_GRAPH, "urn:g", "urn:h"]
PATTERNS = st.builds(Pattern, st.sampled_from(GRAPHS), *[st.sampled_from(TERMS)] * 3)
SETS = st.none() | st.frozensets(st.sampled_from(["urn:g", "urn:h", "urn:i"]))


def store() -> pyoxigraph.Store:
    """Every triple of three terms, in three graphs."""
    terms = [pyoxigraph.NamedNode(f"urn:{name}") for name in "abc"]
    store = pyoxigraph.Store()
    for graph in "ghi":
        store.extend(
            pyoxigraph.Quad(s, p, o, pyoxigraph.NamedNode(f"urn:{graph}")) for s in terms for p in terms for o in terms
        )
    store.add_graph(pyoxigraph.NamedNode("urn:empty"))
    return store


STORE = store()


def rows(text: str) -> set[tuple[str | None, ...]]:
    found = STORE.query(text)
    assert isinstance(found, pyoxigraph.QuerySolutions)
    return {tuple(None if term is None else str(term) for term in solution) for solution in found}


@given(st.lists(PATTERNS, max_size=6), st.builds(Dataset, SETS, SETS))
def test_all_matching_quads_are_asked_for_and_no_others(patterns: list[Pattern], dataset: Dataset) -> None:
    expected = set()
    for pattern in patterns:
        graphs = dataset.graphs_of(pattern)
        for quad in STORE:
            terms = (str(quad.subject), str(quad.predicate), str(quad.object))
            wanted = (pattern.subject, pattern.predicate, pattern.object)
            if (graphs is None or quad.graph_name.value in graphs) and all(
                want in (None, term) for want, term in zip(wanted, terms, strict=True)
            ):
                expected.add((*terms, str(quad.graph_name)))
    asked = subquery(patterns, (), dataset)
    assert (set() if asked is None else rows(asked.text)) == expected
    if asked and asked.graphs is not None:
        assert {graph for *_, graph in expected} <= {f"<{graph}>" for graph in asked.graphs}


def test_nothing_is_asked_for_nothing() -> None:
    assert subquery([], [], ALL) is None
    assert subquery([Pattern("urn:g")], ["urn:g"], Dataset(frozenset(), frozenset({"urn:h"}))) is None


def test_names_of_graphs() -> None:
    asked = subquery([], [ANY_NAMED_GRAPH, "urn:g"], ALL)
    assert asked and asked.graphs is None
    assert {row[3] for row in rows(asked.text)} == {"<urn:g>", "<urn:h>", "<urn:i>", "<urn:empty>"}
    asked = subquery([], ["urn:g", "urn:none"], ALL)
    assert asked and asked.graphs == frozenset({"urn:g", "urn:none"})
    assert rows(asked.text) == {(None, None, None, "<urn:g>")}


@pytest.mark.parametrize(
    ("patterns", "branches"),
    [
        ([Pattern("", None, f"<urn:{n}>") for n in range(50)], 1),
        ([Pattern("", None, "<urn:a>"), Pattern(""), Pattern("urn:g", "<urn:b>")], 1),
        ([Pattern("", None, "<urn:a>", "<urn:b>"), Pattern("", None, "<urn:a>")], 1),
        ([Pattern("", None, "<urn:a>", "<urn:b>"), Pattern("", None, "<urn:c>")], 2),
        ([Pattern("", f"<urn:{n}>", f"<urn:{n}>", f"<urn:{n}>") for n in range(500)], 1),
    ],
)
def test_patterns_are_merged(patterns: list[Pattern], branches: int) -> None:
    asked = subquery(patterns, (), ALL)
    assert asked and asked.text.count("GRAPH") == branches


def test_a_long_request_asks_for_more_rather_than_being_refused() -> None:
    asked = subquery([Pattern("", f"<urn:{'x' * 1000}{n}>") for n in range(500)], (), ALL)
    assert asked and len(asked.text) < 100_000
    assert len(rows(asked.text)) == 81


def test_graphs_to_look_into_are_not_listed_when_that_is_too_long() -> None:
    only = frozenset(f"urn:{'x' * 100}{n}" for n in range(1000)) | {"urn:g"}
    asked = subquery([Pattern("", "<urn:a>")], (), ALL, [JOIN], (), only)
    assert asked and asked.graphs == only and list(asked.bgps.values()) == [JOIN]
    assert {row[1] for row in rows(asked.text) if row[0] is None} == {"<urn:a>"}
    assert {row[-1] for row in rows(asked.text)} == {"<urn:g>", "<urn:h>", "<urn:i>"}


def test_only_some_graphs_may_be_looked_into() -> None:
    asked = subquery([Pattern("")], [ANY_NAMED_GRAPH], ALL, (), (), frozenset({"urn:g"}))
    assert asked and asked.graphs == {"urn:g"}
    assert {row[-1] for row in rows(asked.text)} == {"<urn:g>"}


JOIN = PushedBGP(
    DEFAULT_GRAPH, (("?0", "<urn:a>", "?1"), ("?1", "<urn:b>", "?2"), ("?2", "<urn:c>", "?3")), ((3, ("<urn:a>",)),)
)
PLAIN = PushedBGP(DEFAULT_GRAPH, (("?0", "<urn:a>", "?1"),), ((1, ("<urn:b>", "<urn:c>")),))
LOOP = PushedBGP(DEFAULT_GRAPH, (("?0", "<urn:a>", "?0"),))
TESTED = PushedBGP(DEFAULT_GRAPH, (("?0", "?1", "?2"),), (), ("\0002\000 = <urn:a> || \0000\000 = \0002\000",))


def test_matches_of_blocks_come_with_their_kind_and_all_their_variables() -> None:
    asked = subquery([Pattern("urn:g", "<urn:a>")], (), ALL, [JOIN, LOOP])
    assert asked and asked.columns == ("k", "s", "p", "o", "v3", "g")
    assert list(asked.bgps.values()) == [JOIN, LOOP]
    found = rows(asked.text)
    kinds = {kind.decode(): bgp for kind, bgp in asked.bgps.items()}
    assert {row[0] for row in found} == {None, *kinds}
    joined = [row for row in found if row[0] is not None and kinds[row[0]] is JOIN]
    assert len(joined) == 27 * 3 and {row[4] for row in joined} == {"<urn:a>"}
    assert len([row for row in found if row[0] is not None and kinds[row[0]] is LOOP]) == 9
    assert {(row[1], row[5]) for row in found if row[0] is None} == {("<urn:a>", "<urn:g>")}


def test_blocks_that_only_choose_terms_are_asked_for_as_quads() -> None:
    asked = subquery([Pattern("", "<urn:b>", "<urn:a>", "<urn:b>")], (), ALL, [PLAIN])
    assert asked and not asked.bgps and asked.columns == ("s", "p", "o", "g")
    assert {row[1:3] for row in rows(asked.text)} == {("<urn:a>", "<urn:b>"), ("<urn:a>", "<urn:c>")}


def test_a_block_alone_comes_without_kind_and_constants() -> None:
    asked = subquery((), (), ALL, [JOIN])
    assert asked and asked.columns == ("s", "p", "o", "v3", "g") and dict(asked.bgps) == {b"": JOIN}
    assert len(rows(asked.text)) == 27 * 3
    few = subquery((), (), ALL, [JOIN], most_rows=5)
    assert few and len(rows(few.text)) == 5 and rows(few.text) < rows(asked.text)


def test_terms_that_do_not_count_are_not_asked_for() -> None:
    asked = subquery(
        (), (), Dataset(frozenset({"urn:g", "urn:h"}), None), [msgspec.structs.replace(JOIN, hidden=(1, 2))]
    )
    assert asked and asked.columns == ("s", "v3", "g") and asked.graphs == {"urn:g", "urn:h"}
    found = STORE.query(asked.text)
    assert isinstance(found, pyoxigraph.QuerySolutions)
    assert len(list(found)) == len(rows(asked.text)) == 3 * 2
    nothing = subquery((), (), ALL, [PushedBGP("urn:i", (("?0", "?1", "?2"),), hidden=(0, 1, 2))])
    assert nothing and nothing.columns == ("g",) and rows(nothing.text) == {("<urn:i>",)}


def test_watched_blocks_are_told_from_others() -> None:
    asked = subquery((), (), ALL, [PLAIN], [PLAIN])
    assert asked and list(asked.bgps.values()) == [PLAIN]
    assert {row[:2] for row in rows(asked.text)} == {(f"<urn:{s}>", f"<urn:{o}>") for s in "abc" for o in "bc"}
    other = subquery([Pattern("", "<urn:b>")], (), ALL, [PLAIN], [PLAIN])
    assert other and list(other.bgps.values()) == [PLAIN] and other.columns == ("k", "s", "p", "o", "g")


def test_conditions_are_about_the_block_s_variables() -> None:
    asked = subquery((), (), ALL, [TESTED])
    assert asked
    assert {(row[0], row[2]) for row in rows(asked.text)} == {
        (s, o) for s, _, o, _ in rows("SELECT ?s ?p ?o ?g { GRAPH ?g { ?s ?p ?o } }") if o == "<urn:a>" or s == o
    }


def test_no_terms_to_choose_from_match_nothing() -> None:
    nothing = PushedBGP(DEFAULT_GRAPH, (("?0", "<urn:a>", "?1"),), ((0, ()),))
    for watched in ((), (nothing,)):
        asked = subquery((), (), ALL, [nothing], watched)
        assert asked and rows(asked.text) == set()


def test_blocks_look_where_the_dataset_says() -> None:
    dataset = Dataset(frozenset({"urn:h"}), frozenset({"urn:g"}))
    asked = subquery((), (), dataset, [JOIN, LOOP, PushedBGP("urn:i", LOOP.triples)])
    assert asked and asked.graphs == {"urn:h"}
    assert {row[-1] for row in rows(asked.text)} == {"<urn:h>"}
    assert subquery((), (), Dataset(frozenset(), None), [JOIN, PLAIN], [PLAIN]) is None


def test_a_form_that_servers_would_refuse_is_not_sent() -> None:
    """They count its bytes as they are sent: letters that are not ASCII take six or more."""
    names = tuple(f"<urn:{'ж' * 100}{n}>" for n in range(500))
    asked = subquery((), (), ALL, [PushedBGP(DEFAULT_GRAPH, (("?0", "?1", "?2"),), ((0, names),))])
    assert asked and len(quote_plus(asked.text)) < 200_000
    assert len(rows(asked.text)) == 81


def test_listed_subjects_are_looked_up_and_other_terms_are_tests() -> None:
    subjects = tuple(f"<urn:{name}>" for name in "abcdefghijklmnopqrstuvwxyz")
    values = ((0, subjects), (1, ("<urn:a>", "<urn:b>")))
    for watched in (False, True):  # on its own, and among other patterns
        bgp = PushedBGP(DEFAULT_GRAPH, (("?0", "?1", "<urn:c>"),), values)
        asked = subquery([], [], ALL, [bgp], [bgp] if watched else [])
        assert asked
        assert asked.text.count("VALUES") == 1 and "VALUES ?s { <urn:a> <urn:b> <urn:c> <urn:d>" in asked.text
        assert "FILTER(?p IN (<urn:a>, <urn:b>))" in asked.text
        assert {row[-1] for row in rows(asked.text)} == {"<urn:g>", "<urn:h>", "<urn:i>"}
        assert len(rows(asked.text)) == 3 * 2 * 3


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("% +<>?&=\n\té𝒳a1~-_."))
def test_a_text_is_quoted_as_the_standard_library_does(text: str) -> None:
    assert quoted(text) == quote_plus(text)
