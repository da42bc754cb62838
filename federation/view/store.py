"""The store of a view."""

from __future__ import annotations

from collections.abc import Iterator

from pyoxigraph import DefaultGraph, NamedNode, Quad, Store, Triple

from federation.evaluation.quads import add_graphs, read_quads
from federation.view.messages import Change


class ViewStore:
    """A store whose default graph is the set-union of its named graphs.

    Args:
        store: The store.

    Attributes:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def change(self, change: Change) -> None:
        """Replace the content of some graphs, and remove others.

        It touches only the triples that differ: the store never frees the place of a removed triple, and finds one that often
        came and went more slowly.

        Raises:
            UnreadableQuadsError: The quads are invalid; the store is as it was before.
        """
        contents: dict[NamedNode, set[Triple]] = {
            graph: set() for name in (*change.removed, *change.graphs) for graph in self._named(name)
        }
        for quad in read_quads(change.quads):
            assert isinstance(quad.graph_name, NamedNode)
            contents.setdefault(quad.graph_name, set()).add(quad.triple)
        for graph, wanted in contents.items():
            self._replace(graph, wanted)
            if not wanted:
                self.store.remove_graph(graph)
        add_graphs(self.store, change.graphs)

    def _replace(self, graph: NamedNode, wanted: set[Triple]) -> None:
        """Give a graph these triples; a triple leaves the default graph when no other graph has it."""
        found = {quad.triple for quad in self.store.quads_for_pattern(None, None, None, graph)}
        for triple in found - wanted:
            self.store.remove(_quad(triple, graph))
            left = self.store.quads_for_pattern(triple.subject, triple.predicate, triple.object)
            if not any(isinstance(quad.graph_name, NamedNode) for quad in left):
                self.store.remove(_quad(triple, DefaultGraph()))
        new = wanted - found
        self.store.extend(_quad(triple, place) for triple in new for place in (graph, DefaultGraph()))

    def _named(self, name: str) -> Iterator[NamedNode]:
        """Yield the graph of a name, also of one that is no IRI, which exists through its quads only."""
        try:
            yield NamedNode(name)
        except ValueError:
            graphs = self.store.named_graphs()
            yield from [graph for graph in graphs if isinstance(graph, NamedNode) and graph.value == name]


def _quad(triple: Triple, graph: NamedNode | DefaultGraph) -> Quad:
    return Quad(triple.subject, triple.predicate, triple.object, graph)
