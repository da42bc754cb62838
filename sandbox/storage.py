"""A node's store: it does quick work at once and the rest in threads, with one write at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Store

from sandbox.workers import Workers

Result = TypeVar("Result")
GraphName = NamedNode | DefaultGraph


class Storage:
    """A pyoxigraph store for one event loop, in memory or in a directory."""

    def __init__(self, directory: Path | None = None) -> None:
        self.store = Store(directory) if directory else Store()
        self._workers = Workers("storage", 2)
        self._writing = asyncio.Lock()

    async def run(self, work: Callable[[], Result], quick: bool = False) -> Result:
        """Do some work in a thread, or at once if it is quick, since a thread costs time, and return its result."""
        return work() if quick else await self._workers.run(work)

    async def write(self, work: Callable[[], Result], quick: bool = False) -> Result:
        """Do some work that changes the store, after all earlier such work, and return its result.

        The store allows one transaction at a time and blocks the thread of the next one, which must not be the event loop's.
        """
        async with self._writing:
            return await self.run(work, quick)

    def has_graph(self, graph: GraphName) -> bool:
        """Tell whether the graph has triples; as in Fuseki, a named graph without triples does not exist."""
        return next(self.store.quads_for_pattern(None, None, None, graph), None) is not None

    def graphs(self) -> list[str]:
        """Return the IRIs of the named graphs, sorted."""
        names = (graph for graph in self.store.named_graphs() if isinstance(graph, NamedNode))
        return sorted(graph.value for graph in names if self.has_graph(graph))

    def replace(self, graphs: Iterable[tuple[GraphName, Collection[Quad]]]) -> None:
        """Replace each graph by its quads, in one transaction, so that no reader sees half of a graph."""
        removals: list[str] = []
        additions: dict[GraphName, Collection[Quad]] = {}
        for graph, quads in graphs:
            before = set(self.store.quads_for_pattern(None, None, None, graph))
            stale = before.difference(quads)
            if all(map(_is_ground, stale)):
                additions[graph] = set(quads) - before if before else quads
                if stale:
                    removals.append(f"DELETE DATA {{ {_in_graph(graph, stale)} }}")
            else:
                # DELETE DATA cannot name blank nodes.
                additions[graph] = quads
                removals.append(f"DROP SILENT {f'GRAPH {graph}' if isinstance(graph, NamedNode) else 'DEFAULT'}")
        if removals:
            added = "\n".join(_in_graph(graph, quads) for graph, quads in additions.items())
            self.store.update(";\n".join([*removals, f"INSERT DATA {{ {added} }}"]))
        else:
            self.store.extend(chain.from_iterable(additions.values()))

    def dump(self, rdf_format: RdfFormat, graph: GraphName | None = None) -> bytes:
        """Write a graph, or the whole dataset, in a format."""
        output = BytesIO()
        self.store.dump(output, format=rdf_format, from_graph=graph)
        return output.getvalue()

    def close(self) -> None:
        """Stop the threads, and flush the data to disk."""
        self._workers.close()
        self.store.flush()


def _is_ground(quad: Quad) -> bool:
    return isinstance(quad.subject, NamedNode) and isinstance(quad.object, (NamedNode, Literal))


def _in_graph(graph: GraphName, quads: Iterable[Quad]) -> str:
    triples = "".join(f"{quad.triple} .\n" for quad in quads)
    return f"GRAPH {graph} {{\n{triples}}}" if isinstance(graph, NamedNode) else triples
