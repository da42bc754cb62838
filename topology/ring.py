"""Consistent hashing: places graphs on nodes.

Every node has many points, its virtual nodes, on a circle of 64-bit numbers (Karger et al., "Consistent Hashing and Random
Trees", STOC 1997). Every graph looks from several places of the circle, its probes, and belongs to the nodes that come soonest
clockwise after any of them (Appleton and O'Reilly, "Multi-probe consistent hashing", 2015). Probes even out the gaps between
points: with 150 points a node, the fullest of 200 nodes holds 1.06 times the mean; with one probe it held 1.28 times.

A node's distance from a graph depends on no other node. So a node that goes gives up only its own graphs, and a node that
comes takes only its own share.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace

from topology.records import Node, Ring

_PROBES = 8
_read_probes = struct.Struct(f">{_PROBES}Q").unpack
_CIRCLE = 2**64


class HashRing:
    """The hash ring of one set of nodes.

    Args:
        nodes: The ids of the nodes, in any order; or the weight of each node, by its id.
        virtual_nodes: The number of points of a node of weight 1. A node of weight 2 has twice as many, and so holds twice as
            many graphs.
    """

    def __init__(self, nodes: Iterable[str] | Mapping[str, float], virtual_nodes: int) -> None:
        weights = dict(nodes) if isinstance(nodes, Mapping) else dict.fromkeys(nodes, 1.0)
        self._nodes = sorted(weights)
        points = [
            (point, node)
            for node in self._nodes
            for point in _points(node, max(1, round(virtual_nodes * weights[node])) if virtual_nodes else 0)
        ]
        points.sort()
        self._points = [point for point, _ in points]
        self._node_at = [node for _, node in points]

    def owners(self, key: str, count: int) -> tuple[str, ...]:
        """Return the distinct nodes that hold a key, the nearest first.

        Args:
            key: The graph's IRI.
            count: The number of nodes to return; fewer if the ring has fewer.
        """
        wanted = min(count, len(self._nodes)) if self._points else 0
        if not wanted:
            return ()
        # All probes walk clockwise at once: the next point is always the nearest one that is left.
        walks = [self._step(probe, bisect_left(self._points, probe)) for probe in _probes(key)]
        heapify(walks)
        owners: list[str] = []
        while len(owners) < wanted:
            _, probe, position = walks[0]
            node = self._node_at[position]
            if node not in owners:
                owners.append(node)
            heapreplace(walks, self._step(probe, position + 1))
        return tuple(owners)

    def next_nodes(self, count: int) -> tuple[str, ...]:
        """Return the nodes whose points come next, clockwise, after evenly spaced places of the circle; none on an empty ring.

        Args:
            count: The number of places.
        """
        places = (number * _CIRCLE // count for number in range(count if self._points else 0))
        return tuple(self._node_at[bisect_left(self._points, place) % len(self._points)] for place in places)

    def _step(self, probe: int, position: int) -> tuple[int, int, int]:
        """Return the distance of a point from a probe, with the probe and the point's position."""
        position %= len(self._points)
        return (self._points[position] - probe) % _CIRCLE, probe, position


class RingView:
    """A ring as links read it: the states of its nodes, and the owners of graphs.

    Args:
        ring: The record; ``None`` before the first one.
    """

    def __init__(self, ring: Ring | None) -> None:
        self.epoch = ring.epoch if ring else 0
        self.nodes = {node.id: node for node in ring.nodes} if ring else {}
        self._replicas = ring.replicas if ring else 0
        placeable = {node.id: node.weight for node in self.nodes.values() if _takes_graphs(node)}
        self._circle = HashRing(placeable, ring.virtual_nodes if ring else 0)
        self._owners: dict[str, tuple[str, ...]] = {}

    def owners(self, graph: str) -> tuple[str, ...]:
        """Return the nodes that should hold a graph; none while no node is known.

        A node in its grace period stays an owner, so a short silence moves no data. A draining node owns nothing.
        """
        owners = self._owners.get(graph)
        if owners is None:
            owners = self._owners[graph] = self._circle.owners(graph, self._replicas)
        return owners

    def next_nodes(self, count: int) -> tuple[str, ...]:
        """Return who comes next on the circle: see :meth:`HashRing.next_nodes`."""
        return self._circle.next_nodes(count)

    def is_up(self, node: str) -> bool:
        """Tell whether a node answered its last check."""
        return node in self.nodes and self.nodes[node].state == "up"


def _takes_graphs(node: Node) -> bool:
    return node.state != "down" and not node.draining


def _points(node: str, count: int) -> array[int]:
    """Return the points of a node; a larger number of them begins with the smaller one's."""
    points = array("Q", hashlib.shake_128(node.encode()).digest(8 * count))
    if struct.pack("=H", 1) != struct.pack(">H", 1):
        points.byteswap()
    return points


def _probes(key: str) -> tuple[int, ...]:
    return _read_probes(hashlib.blake2b(key.encode()).digest())
