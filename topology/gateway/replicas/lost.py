"""Lost replicas: a node acknowledged them and no longer lists them, most likely because it restarted with less data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping

from topology.gateway.replicas.inventory import GraphsByNode, NodeGraphs
from topology.records import Loss

# Seconds after which a loss that has not grown is reported again.
_REPORT_AGAIN_AFTER = 30.0


class LossReports:
    """Reports losses to the writer, which then inspects the node at once.

    Args:
        send: Sends a report.
    """

    def __init__(self, send: Callable[[Loss], None]) -> None:
        self._send = send
        self._reported: dict[str, tuple[int, float]] = {}

    def report(self, lost: Mapping[str, int]) -> None:
        """Report nodes that have lost more graphs than before, or still lack them after a while.

        Args:
            lost: The number of graphs that nodes have lost, by their ids; all others have lost none.
        """
        now = time.monotonic()
        self._reported = {node: reported for node, reported in self._reported.items() if node in lost}
        for node, number in lost.items():
            before, at = self._reported.get(node, (0, -math.inf))
            if number > before or now - at >= _REPORT_AGAIN_AFTER:
                self._reported[node] = number, now
                self._send(Loss(node, int(time.time() * 1000), number))


class LostReplicas:
    """Detects acknowledged replicas that their nodes do not list.

    Queries read other copies at once; the writer inspects the node and repairs the loss.

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
