"""Unmanaged graphs: providers put them on nodes, and the catalogue never placed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from topology.gateway.replicas.inventory import GraphsByNode


class UnmanagedGraphs:
    """The graphs on each node that the catalogue does not know.

    A graph that was known when its node listed it stays managed after the catalogue forgets it: the router deleted it, and the
    node's list is older than that.

    Args:
        is_known: Tells whether the catalogue knows a graph.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._listed: dict[str, frozenset[str]] = {}
        self._unmanaged: dict[str, set[str]] = {}

    def refresh(self, graphs_by_node: GraphsByNode) -> None:
        """Take over the nodes' current lists."""
        for node in self._listed.keys() - graphs_by_node.keys():
            del self._listed[node], self._unmanaged[node]
        for node, listed in graphs_by_node.items():
            if listed.graphs is not None and self._listed.get(node) is not listed.graphs:
                self._listed[node] = listed.graphs
                self._unmanaged[node] = {graph for graph in listed.graphs if not self._is_known(graph)}

    def discard(self, graphs: Iterable[str]) -> None:
        """Drop graphs that the catalogue has come to know."""
        for unmanaged in self._unmanaged.values():
            unmanaged.difference_update(graphs)

    def restore(self, graph: str, nodes: Iterable[str]) -> None:
        """Count a graph as unmanaged again on those of some nodes that list it."""
        for node in nodes:
            if graph in self._listed.get(node, ()):
                self._unmanaged[node].add(graph)

    def of(self, node: str) -> set[str]:
        """Return the unmanaged graphs on a node."""
        return self._unmanaged.get(node, set())

    def nodes_by_graph(self, nodes: Iterable[str]) -> dict[str, list[str]]:
        """Return those of the given nodes that hold each unmanaged graph, by graph."""
        found: dict[str, list[str]] = {}
        for node in nodes:
            for graph in self.of(node):
                found.setdefault(graph, []).append(node)
        return found

    def was_listed(self, node: str) -> bool:
        """Tell whether a node has ever listed its graphs."""
        return node in self._unmanaged
