"""Rings, claims and copies of offerings, as a gateway's tables have them."""

from __future__ import annotations

from federation.source_selection import Snapshot
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import (
    Node,
    NodeState,
    OfferingHead,
    Ring,
    placement_key,
)
from topology.ring import RingView

G = "https://p.example/1"


def ring(replicas: int = 2, **states: NodeState) -> RingView:
    nodes = tuple(Node(name, f"http://{name}/catalogue", state) for name, state in states.items())
    return RingView(Ring(1, nodes, 150, replicas))


def claim(graph: str = G, digest: str = "new", at: int = 1) -> OfferingHead:
    return OfferingHead(graph=graph, digest=digest, claimed_at=at)


def copies(graph: str = G, **digests: str) -> dict[str, Replica]:
    return {
        placement_key(node, graph): Replica(digest, number) for number, (node, digest) in enumerate(digests.items())
    }


THREE = ring(a="up", b="up", c="up")


def take_snapshot(
    ring: RingView,
    claims: dict[str, OfferingHead],
    replicas: dict[str, Replica],
    avoid: frozenset[str] = frozenset(),
) -> Snapshot:
    """Take one snapshot of the given claims and replicas."""
    selector = ReplicaSelector(lambda: ring)
    selector.claims, selector.replicas = claims, replicas
    return selector.snapshot(avoid)
