"""Consistent hashing: places graphs on nodes.

Every node has many points, its virtual nodes, on a circle of 64-bit numbers. A graph belongs to the first distinct nodes that
follow its own point clockwise. When one of n nodes comes or goes, only about 1/n of the graphs move (Karger et al., "Consistent
Hashing and Random Trees", STOC 1997).
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable

from topology.records import Ring


class HashRing:
    """The hash ring of one set of nodes.

    Args:
        nodes: The ids of the nodes, in any order.
        virtual_nodes: The number of points of each node.
    """

    def __init__(self, nodes: Iterable[str], virtual_nodes: int) -> None:
        self._nodes = sorted(set(nodes))
        points = sorted((_point(f"{node}#{number}"), node) for node in self._nodes for number in range(virtual_nodes))
        self._points = [point for point, _ in points]
        self._node_at = [node for _, node in points]

    def owners(self, key: str, count: int) -> tuple[str, ...]:
        """Return the distinct nodes that hold a key, in ring order.

        Args:
            key: The graph's IRI.
            count: The number of nodes to return; fewer if the ring has fewer.
        """
        wanted = min(count, len(self._nodes))
        owners: list[str] = []
        position = bisect.bisect(self._points, _point(key))
        while len(owners) < wanted:
            node = self._node_at[position % len(self._node_at)]
            if node not in owners:
                owners.append(node)
            position += 1
        return tuple(owners)


class RingView:
    """A ring as links read it: the states of its nodes, and the owners of graphs.

    Args:
        ring: The record; ``None`` before the first one.
    """

    def __init__(self, ring: Ring | None) -> None:
        self.epoch = ring.epoch if ring else 0
        self.nodes = {node.id: node for node in ring.nodes} if ring else {}
        self._replicas = ring.replicas if ring else 0
        placeable = [node.id for node in self.nodes.values() if node.state != "down"]
        self._circle = HashRing(placeable, ring.virtual_nodes if ring else 0)
        self._owners: dict[str, tuple[str, ...]] = {}

    def owners(self, graph: str) -> tuple[str, ...]:
        """Return the nodes that should hold a graph; none while no node is known.

        A node in its grace period stays an owner, so a short silence moves no data.
        """
        owners = self._owners.get(graph)
        if owners is None:
            owners = self._owners[graph] = self._circle.owners(graph, self._replicas)
        return owners

    def is_up(self, node: str) -> bool:
        """Tell whether a node answered its last check."""
        return node in self.nodes and self.nodes[node].state == "up"


def _point(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
