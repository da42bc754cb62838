"""A node of which only graphs and their digests matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from topology.clients.http import UnsafeError


class FakeNode:
    """A node's graphs, by their digests, and its ways."""

    def __init__(self) -> None:
        self.graphs: dict[str, str] = {}
        # By digest: the digest of the same content with literals by value, where that is another one.
        self.by_value: dict[str, str] = {}
        self.problem: Exception | None = None
        self.most_contents = 1000
        self.asked: list[int] = []
        self.read: list[str] = []  # the graphs whose contents were asked for
        self.after_first_look: Callable[[], object] = lambda: None

    def holds(self, graphs: Iterable[str]) -> set[str]:
        if self.problem:
            raise self.problem
        self.asked.append(len(list(graphs)))
        found = set(graphs) & self.graphs.keys()
        act, self.after_first_look = self.after_first_look, lambda: None
        act()
        return found

    def digests(self, graphs: Iterable[str], by_value: bool = False) -> dict[str, str]:
        if len(list(graphs)) > self.most_contents:
            raise UnsafeError("too large an answer")
        self.read += graphs
        found = {graph: self.graphs[graph] for graph in graphs if graph in self.graphs}
        return {graph: self.by_value.get(digest, digest) for graph, digest in found.items()} if by_value else found
