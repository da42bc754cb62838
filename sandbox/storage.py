"""A node's store: quick work done at once, the rest in threads, one write at a time, each graph replaced as a whole."""

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
    """A pyoxigraph store, in memory or in a directory, used from one event loop."""

    def __init__(self, directory: Path | None = None) -> None:
        self.store = Store(directory) if directory else Store()
        self._workers = Workers("storage", 2)
        self._writing = asyncio.Lock()

    async def run(self, work: Callable[[], Result], quick: bool = False) -> Result:
        """What `work()` returns: done at once where it is quick, for the hop has its price, else in a thread."""
        return work() if quick else await self._workers.run(work)

    async def write(self, work: Callable[[], Result], quick: bool = False) -> Result:
        """The same for work that changes the store, when it is this one's turn.

        The store admits one transaction at a time and lets the thread of the next wait: never the event loop's.
        """
        async with self._writing:
            return await self.run(work, quick)

    def has_graph(self, graph: GraphName) -> bool:
        """Whether something is said in the graph: as in Fuseki, a named graph without triples does not exist."""
        return next(self.store.quads_for_pattern(None, None, None, graph), None) is not None

    def graphs(self) -> list[str]:
        """The IRIs of the named graphs, sorted."""
        names = (graph for graph in self.store.named_graphs() if isinstance(graph, NamedNode))
        return sorted(graph.value for graph in names if self.has_graph(graph))

    def replace(self, graphs: Iterable[tuple[GraphName, Collection[Quad]]]) -> None:
        """Makes each graph hold exactly its quads, in one transaction: no reader meets one that is half there."""
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

    def dump(self, format: RdfFormat, graph: GraphName | None = None) -> bytes:
        """A graph, or the whole dataset, in a format."""
        output = BytesIO()
        self.store.dump(output, format=format, from_graph=graph)
        return output.getvalue()

    def close(self) -> None:
        """Stops the threads, and writes to disk what is to last."""
        self._workers.close()
        self.store.flush()


def _is_ground(quad: Quad) -> bool:
    return isinstance(quad.subject, NamedNode) and isinstance(quad.object, (NamedNode, Literal))


def _in_graph(graph: GraphName, quads: Iterable[Quad]) -> str:
    triples = "".join(f"{quad.triple} .\n" for quad in quads)
    return f"GRAPH {graph} {{\n{triples}}}" if isinstance(graph, NamedNode) else triples
