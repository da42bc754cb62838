"""The order in which the replicas of a graph are read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from topology import records
from topology.records import Placement

UNCONFIRMED = 0
"""The fingerprint of replicas that may have gone."""


class Replica(NamedTuple):
    """A copy of a graph that a node acknowledged.

    Attributes:
        digest: The digest of its content; empty if the node refused the write.
        version: A higher version is newer.
        refused: The digest of a content that the node refused.
        foreign: True if it is no copy at all, but a graph of the node's owner.
        in_doubt: True if an inspection found other content in it; it is sent again.
        problem: The reason why the node has refused the last write of it, or failed on it.
    """

    digest: str
    version: int
    refused: str = ""
    foreign: bool = False
    in_doubt: bool = False
    problem: str = ""


class IdenticalReplicas(NamedTuple):
    """Replicas of a graph with the same content.

    Attributes:
        fingerprint: A number that stands for the graph and this content.
        nodes: Ids of the nodes that hold them, in reading order.
    """

    fingerprint: int
    nodes: tuple[str, ...]


def decode_replica(_key: str, value: Any) -> Replica | None:
    """Decode a row of the table of placements; ``None`` if the node holds nothing of Catena's under that name."""
    row = records.from_text(value, Placement)
    if row.unclaimed:
        return None
    return Replica(row.digest, row.version, row.refused, row.foreign, row.in_doubt, row.problem)


def rank(
    graph: str, digest: str, held: Mapping[str, Replica], owners: Sequence[str], lost: Collection[str] = ()
) -> tuple[IdenticalReplicas, ...]:
    """Rank the replicas of a graph, best first.

    1. Current replicas, those of owners first: the router is about to delete the others. The ring orders the owners
       differently for each graph. So the nodes share the reads evenly, and all gateways read a graph from the same node.
    2. Stale replicas, the newest first and owners before others. They serve while a new description is on its way.
    3. Unconfirmed replicas: those that nodes have lost, those in doubt, and surplus ones once every owner is current. The
       router deletes the surplus then.

    Args:
        graph: The graph's IRI.
        digest: The digest of its current content.
        held: Its replicas, by node.
        owners: The nodes that should hold it, in the ring's order.
        lost: Nodes that no longer list it. Earlier answers may lack what they lost, so they change every fingerprint.
    """
    is_settled = bool(owners) and all(node in held and held[node].digest == digest for node in owners)
    surplus = [node for node in held if is_settled and node not in owners]
    unconfirmed = [
        node
        for node, replica in held.items()
        if replica.in_doubt or (replica.digest and (node in lost or node in surplus))
    ]
    present = {node: replica for node, replica in held.items() if replica.digest and node not in lost}
    suffix = sorted(node for node in unconfirmed if node in lost)

    current = [node for node in present if present[node].digest == digest]
    # With the version, content that returns after a change gets a new fingerprint.
    newest = str(max((present[node].version for node in current), default=0))
    current = [node for node in owners if node in current] + sorted(set(current) - {*owners, *unconfirmed})
    ranked = [IdenticalReplicas(fingerprint(graph, digest, newest, *suffix), tuple(current))] if current else []

    stale = [node for node, replica in present.items() if replica.digest != digest and node not in unconfirmed]
    stale.sort(key=lambda node: (present[node].version, node in owners, node), reverse=True)
    ranked += [
        IdenticalReplicas(fingerprint(graph, present[node].digest, str(present[node].version), *suffix), (node,))
        for node in stale
    ]
    if unconfirmed:
        ranked.append(IdenticalReplicas(UNCONFIRMED, tuple(sorted(unconfirmed, key=lambda node: (node in lost, node)))))
    return tuple(ranked)


def newest_content(digest: str, replicas: Iterable[Replica]) -> str:
    """Return the digest of the newest content that a node has acknowledged, also where nodes have lost it since.

    A replica in doubt was acknowledged, and is sent again with the present content.

    Args:
        digest: The digest of the present content.
        replicas: All replicas of the graph.

    Returns:
        The digest; empty if no node has acknowledged any content.
    """
    acknowledged = [
        (replica.digest or digest, replica.version) for replica in replicas if replica.digest or replica.in_doubt
    ]
    return max(acknowledged, key=lambda content: (content[0] == digest, content[1], content[0]), default=("", 0))[0]


def by_rendezvous(graph: str, nodes: Iterable[str]) -> tuple[str, ...]:
    """Order nodes for reading a graph that no ring places.

    Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on
    Networking 6(1), 1998) uses the names alone. So all gateways choose the same node, and the nodes share the graphs. When a
    node goes, the choices among the others stay.
    """
    return tuple(sorted(nodes, key=lambda node: fingerprint(node, graph)))


def fingerprint(*parts: str) -> int:
    """Hash texts to 64 bits; the sum of such hashes (modulo 2 to the 64th) identifies a set."""
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
