"""The evaluator's copy of kept quads."""

from __future__ import annotations

import pyoxigraph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import DefaultGraph, NamedNode

from federation.errors import UnreadableQuadsError
from federation.evaluation.cached_store import CachedStore
from federation.evaluation.messages import UpdateCache

GRAPHS = ("urn:g", "urn:h", "urn:no iri")
CONTENTS = st.dictionaries(st.sampled_from(GRAPHS), st.frozensets(st.sampled_from("abc"), max_size=3))


def quads(content: dict[str, frozenset[str]]) -> bytes:
    return b"".join(
        f"<urn:{name}> <urn:p> _:b <{graph}> .\n".encode() for graph, names in content.items() for name in names
    )


def held(store: pyoxigraph.Store) -> tuple[set[tuple[str, str]], list[str]]:
    """Graphs' subjects, and those of the default graph."""
    named = {(quad.graph_name.value, str(quad.subject)) for quad in store if isinstance(quad.graph_name, NamedNode)}
    return named, sorted(str(quad.subject) for quad in store.quads_for_pattern(None, None, None, DefaultGraph()))


def expected(content: dict[str, frozenset[str]]) -> tuple[set[tuple[str, str]], list[str]]:
    named = {(graph, f"<urn:{name}>") for graph, names in content.items() for name in names}
    return named, sorted({subject for _, subject in named})


@settings(max_examples=50)
@given(st.lists(CONTENTS, min_size=1, max_size=5))
def test_after_any_changes_it_is_as_if_it_were_made_anew(states: list[dict[str, frozenset[str]]]) -> None:
    kept, before = CachedStore(), dict[str, frozenset[str]]()
    for state in states:
        changed = {graph for graph in GRAPHS if before.get(graph) != state.get(graph)}
        new = {graph: names for graph, names in state.items() if graph in changed}
        kept.change(UpdateCache(False, tuple(changed), quads(new), tuple(state)))
        before = state
        assert held(kept.store) == expected(state)
        assert {name.value for name in kept.store.named_graphs() if isinstance(name, NamedNode)} == {
            graph for graph in state if state[graph] or graph != "urn:no iri"
        }


def test_beginning_anew_forgets_all() -> None:
    kept = CachedStore()
    kept.change(UpdateCache(False, (), quads({"urn:g": frozenset("ab")}), ("urn:empty",)))
    kept.change(UpdateCache(True, (), quads({"urn:h": frozenset("c")}), ("urn:h",)))
    assert held(kept.store) == expected({"urn:h": frozenset("c")})
    assert len(list(kept.store.named_graphs())) == 1


def test_graphs_exist_without_quads() -> None:
    kept = CachedStore()
    kept.change(UpdateCache(False, (), b"", ("urn:g",)))
    assert kept.store.contains_named_graph(NamedNode("urn:g"))


def test_blank_nodes_of_different_changes_are_one() -> None:
    kept = CachedStore()
    kept.change(UpdateCache(False, (), b"<urn:s> <urn:p> _:b <urn:g> .\n", ()))
    kept.change(UpdateCache(False, (), b"<urn:s> <urn:p> _:b <urn:h> .\n", ()))
    assert bool(kept.store.query("ASK { GRAPH <urn:g> { ?s ?p ?b } GRAPH <urn:h> { ?s ?p ?b } }"))


def test_what_is_no_rdf_is_refused() -> None:
    with pytest.raises(UnreadableQuadsError):
        CachedStore().change(UpdateCache(False, (), b'<urn:s> <urn:p> "\\q" <urn:g> .\n', ()))
