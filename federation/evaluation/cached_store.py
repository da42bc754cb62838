"""An evaluator's copy of the cached quads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import pyoxigraph
from pyoxigraph import DefaultGraph, NamedNode, Quad, RdfFormat, Store

from federation.errors import UnreadableQuadsError
from federation.evaluation.messages import UpdateCache


class CachedStore:
    """A store whose default graph is the set-union of its named graphs.

    Attributes:
        store: The store.
    """

    def __init__(self) -> None:
        self.store = Store()

    def change(self, job: UpdateCache) -> None:
        """Remove and add quads.

        Raises:
            UnreadableQuadsError: The quads are invalid; the store is unreliable then, until a job resets it.
        """
        if job.reset:
            self.store = Store()
        for name in job.removed:
            for graph in self._named(name):
                self._remove(graph)
        self.store.extend(read_quads(job.quads))
        self.store.extend(
            Quad(quad.subject, quad.predicate, quad.object, DefaultGraph()) for quad in read_quads(job.quads)
        )
        add_graphs(self.store, job.graphs)

    def _named(self, name: str) -> list[NamedNode]:
        """Return the graph of a name, also of one that is no IRI."""
        try:
            return [NamedNode(name)]
        except ValueError:
            graphs = self.store.named_graphs()
            return [graph for graph in graphs if isinstance(graph, NamedNode) and graph.value == name]

    def _remove(self, graph: NamedNode) -> None:
        """Remove a graph; a triple leaves the default graph when no other graph has it."""
        quads = list(self.store.quads_for_pattern(None, None, None, graph))
        self.store.remove_graph(graph)
        for quad in quads:
            others = self.store.quads_for_pattern(quad.subject, quad.predicate, quad.object)
            if not any(isinstance(other.graph_name, NamedNode) for other in others):
                self.store.remove(Quad(quad.subject, quad.predicate, quad.object, DefaultGraph()))


def read_quads(document: bytes) -> Iterator[Quad]:
    """Read N-Quads; blank nodes keep their labels.

    Raises:
        UnreadableQuadsError: The document is invalid.
    """
    parsed = pyoxigraph.parse(document, RdfFormat.N_QUADS, lenient=True, rename_blank_nodes=False)
    try:
        yield from parsed
    except SyntaxError as error:
        raise UnreadableQuadsError(str(error)) from error


def add_graphs(store: Store, names: Iterable[str]) -> None:
    """Add named graphs, empty ones too."""
    for name in names:
        with suppress(ValueError):  # a graph whose name is no IRI exists through its quads only
            store.add_graph(NamedNode(name))
