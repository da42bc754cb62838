"""The store of a view."""

from __future__ import annotations

import pyoxigraph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import DefaultGraph, NamedNode

from federation.errors import UnreadableQuadsError
from federation.view import store
from federation.view.messages import Change
from federation.view.store import ViewStore

GRAPHS = ("urn:g", "urn:h", "urn:%zz")
CONTENTS = st.dictionaries(st.sampled_from(GRAPHS), st.frozensets(st.sampled_from("abc"), max_size=3))


def quads(content: dict[str, frozenset[str]]) -> bytes:
    return b"".join(
        f"<urn:{name}> <urn:p> _:b <{graph}> .\n".encode() for graph, names in content.items() for name in names
    )


def held(content: pyoxigraph.Store) -> tuple[set[tuple[str, str]], list[str]]:
    """Graphs' subjects, and those of the default graph."""
    named = {(quad.graph_name.value, str(quad.subject)) for quad in content if isinstance(quad.graph_name, NamedNode)}
    return named, sorted(str(quad.subject) for quad in content.quads_for_pattern(None, None, None, DefaultGraph()))


def expected(content: dict[str, frozenset[str]]) -> tuple[set[tuple[str, str]], list[str]]:
    named = {(graph, f"<urn:{name}>") for graph, names in content.items() for name in names}
    return named, sorted({subject for _, subject in named})


@settings(max_examples=100)
@given(st.lists(CONTENTS, min_size=1, max_size=5), st.sampled_from([0, 5, 20_000]))
def test_change_of_any_graphs_gives_the_store_of_their_union(
    states: list[dict[str, frozenset[str]]], many: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "MANY_QUADS", many)
        _change_and_compare(states)


def _change_and_compare(states: list[dict[str, frozenset[str]]]) -> None:
    view, before = ViewStore(pyoxigraph.Store()), dict[str, frozenset[str]]()
    for state in states:
        changed = {graph: names for graph, names in state.items() if before.get(graph) != names}
        view.change(Change(dict.fromkeys(changed, ""), quads(changed), tuple(before.keys() - state.keys())))
        before = state
        assert held(view.store) == expected(state)
        assert {name.value for name in view.store.named_graphs() if isinstance(name, NamedNode)} == {
            graph for graph in state if state[graph] or graph != "urn:%zz"
        }


def test_change_without_quads_leaves_an_empty_graph() -> None:
    view = ViewStore(pyoxigraph.Store())
    view.change(Change({"urn:g": ""}))
    assert view.store.contains_named_graph(NamedNode("urn:g"))


def test_change_with_an_odd_name_is_of_the_graph_as_merged() -> None:
    view = ViewStore(pyoxigraph.Store())
    view.change(Change({"urn:no iri": ""}, quads({"urn:no%20iri": frozenset("a")})))
    assert held(view.store) == expected({"urn:no%20iri": frozenset("a")})
    view.change(Change({}, removed=("urn:no iri",)))
    assert held(view.store) == expected({})


def test_blank_nodes_of_different_changes_are_one() -> None:
    view = ViewStore(pyoxigraph.Store())
    view.change(Change({"urn:g": ""}, b"<urn:s> <urn:p> _:b <urn:g> .\n"))
    view.change(Change({"urn:h": ""}, b"<urn:s> <urn:p> _:b <urn:h> .\n"))
    assert bool(view.store.query("ASK { GRAPH <urn:g> { ?s ?p ?b } GRAPH <urn:h> { ?s ?p ?b } }"))


def test_change_with_invalid_quads_changes_nothing() -> None:
    view = ViewStore(pyoxigraph.Store())
    view.change(Change({"urn:g": ""}, quads({"urn:g": frozenset("a")})))
    with pytest.raises(UnreadableQuadsError):
        view.change(Change({"urn:g": ""}, b'<urn:s> <urn:p> "\\q" <urn:g> .\n'))
    assert held(view.store) == expected({"urn:g": frozenset("a")})
