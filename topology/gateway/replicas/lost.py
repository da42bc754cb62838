"""Lost replicas: a node acknowledged them and no longer lists them, most likely because it restarted with less data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from topology.gateway.replicas.inventory import GraphsByNode, NodeGraphs


class LostReplicas:
    """Detects acknowledged replicas that their nodes do not list.

    The writer repairs such losses too, but only after the monitor has seen the node go away.

    A list may miss a replica that was acknowledged while the node made the list. Such a replica counts from the next list on.

    Args:
        placed_on: Returns the graphs that a node acknowledged, by the node's id.
    """

    def __init__(self, placed_on: Callable[[str], Iterable[str]]) -> None:
        self._placed_on = placed_on
        self._listed: dict[str, NodeGraphs] = {}
        self._acknowledged: dict[str, dict[str, float]] = {}
        self._since = math.inf

    def begin(self) -> None:
        """Treat every replica as acknowledged just now."""
        self._acknowledged = {}
        self._since = time.monotonic()

    def acknowledged(self, node: str, graph: str) -> None:
        """Note that a node acknowledged a replica just now."""
        self._acknowledged.setdefault(node, {})[graph] = time.monotonic()

    def refresh(self, graphs_by_node: GraphsByNode) -> set[str]:
        """Take over the nodes' current lists.

        Returns:
            The graphs whose replicas may have been lost or found by that.
        """
        affected: set[str] = set()
        for node in self._listed.keys() | graphs_by_node.keys():
            before, now = self._listed.get(node), graphs_by_node.get(node)
            if before is None or now is None or before.graphs is None or before.began < self._since:
                for listed in (before, now):
                    if listed is not None and listed.graphs is not None:
                        affected.update(graph for graph in self._placed_on(node) if graph not in listed.graphs)
            elif now.graphs is not None and now.graphs is not before.graphs:
                affected |= now.graphs ^ before.graphs
            if now is not None:
                recent = self._acknowledged.get(node, {})
                for graph in [graph for graph, moment in recent.items() if moment < now.began]:
                    del recent[graph]
                    affected.add(graph)
        self._listed = dict(graphs_by_node)
        return affected

    def has_lost(self, node: str, graph: str) -> bool:
        """Tell whether a node has lost the replica of a graph that it acknowledged."""
        listed = self._listed.get(node)
        if listed is None or listed.graphs is None or graph in listed.graphs:
            return False
        return self._acknowledged.get(node, {}).get(graph, self._since) < listed.began
