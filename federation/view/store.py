"""The store of a view."""

from __future__ import annotations

from collections.abc import Iterator

from pyoxigraph import DefaultGraph, NamedNode, Quad, Store, Triple

from federation.evaluation.quads import add_graphs, read_quads
from federation.fetching.terms import valid_iri
from federation.view.messages import Change

MANY_QUADS = 20_000


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
        new: list[Quad] = []
        for graph, wanted in contents.items():
            added = self._keep_only(graph, wanted)
            new += (_quad(triple, place) for triple in added for place in (graph, DefaultGraph()))
            if not wanted:
                self.store.remove_graph(graph)
        # On disk, three times as fast, but only where there is enough for files of its own.
        add = self.store.bulk_extend if len(new) > MANY_QUADS else self.store.extend
        add(new)
        add_graphs(self.store, change.graphs)

    def _keep_only(self, graph: NamedNode, wanted: set[Triple]) -> set[Triple]:
        """Remove the other triples of a graph, and return those that it lacks.

        A triple leaves the default graph when no other graph has it.
        """
        found = {quad.triple for quad in self.store.quads_for_pattern(None, None, None, graph)}
        for triple in found - wanted:
            self.store.remove(_quad(triple, graph))
            left = self.store.quads_for_pattern(triple.subject, triple.predicate, triple.object)
            if not any(isinstance(quad.graph_name, NamedNode) for quad in left):
                self.store.remove(_quad(triple, DefaultGraph()))
        return wanted - found

    def _named(self, name: str) -> Iterator[NamedNode]:
        """Yield the graph of a name, also of one that is no IRI, which exists through its quads only."""
        name = valid_iri(name)
        try:
            yield NamedNode(name)
        except ValueError:
            graphs = self.store.named_graphs()
            yield from [graph for graph in graphs if isinstance(graph, NamedNode) and graph.value == name]


def _quad(triple: Triple, graph: NamedNode | DefaultGraph) -> Quad:
    return Quad(triple.subject, triple.predicate, triple.object, graph)
