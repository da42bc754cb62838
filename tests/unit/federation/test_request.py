"""What nodes are asked."""

from __future__ import annotations

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.federation.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Dataset, Pattern
from topology.federation.request import request

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
    asked = request(patterns, (), dataset)
    assert (set() if asked is None else rows(asked.text)) == expected
    if asked and asked.graphs is not None:
        assert {graph for *_, graph in expected} <= {f"<{graph}>" for graph in asked.graphs}


def test_nothing_is_asked_for_nothing() -> None:
    assert request([], [], ALL) is None
    assert request([Pattern("urn:g")], ["urn:g"], Dataset(frozenset(), frozenset({"urn:h"}))) is None


def test_names_of_graphs() -> None:
    asked = request([], [ANY_NAMED_GRAPH, "urn:g"], ALL)
    assert asked and asked.graphs is None
    assert {row[3] for row in rows(asked.text)} == {"<urn:g>", "<urn:h>", "<urn:i>", "<urn:empty>"}
    asked = request([], ["urn:g", "urn:none"], ALL)
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
    asked = request(patterns, (), ALL)
    assert asked and asked.text.count("GRAPH") == branches


def test_a_long_request_asks_for_more_rather_than_being_refused() -> None:
    asked = request([Pattern("", f"<urn:{'x' * 1000}{n}>") for n in range(500)], (), ALL)
    assert asked and len(asked.text) < 100_000
    assert len(rows(asked.text)) == 81
