"""The copies of a graph that the catalogue placed, in the order in which they are to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from topology import records
from topology.records import Placement

DOUBTFUL = 0
"""The mark of copies that may not be there any more."""


class Copy(NamedTuple):
    """A copy of a graph that a node acknowledged.

    Attributes:
        digest: What it holds; empty for one that the node refused.
        version: The higher is the newer.
    """

    digest: str
    version: int


class Alike(NamedTuple):
    """Copies of a graph that say the same.

    Attributes:
        mark: A number that stands for the graph and what they say.
        nodes: Ids of the nodes that hold them, in the order in which they are to be read.
    """

    mark: int
    nodes: tuple[str, ...]


def decode_copy(_key: str, value: Any) -> Copy:
    """The row that the table of placements keeps."""
    placement = records.from_text(value, Placement)
    return Copy(placement.digest, placement.version)


def rank(
    graph: str, digest: str, held: Mapping[str, Copy], owners: Sequence[str], lost: Collection[str] = ()
) -> tuple[Alike, ...]:
    """The copies of a graph, the best first.

    Current ones come before all others, and among them those of owners, since the rest are about to be deleted. The ring's
    order of owners is another one for each graph, so the nodes share the reading as evenly as they share the graphs, and all
    gateways read a graph from the same one. While a new description is on its way there may be no current copy; the newest
    that can be read serves then, an owner's rather than another one.

    At the end come, marked ``DOUBTFUL``, those that nodes have lost, and all but the owners' once these are all current: the
    router has them deleted then.

    Args:
        graph: Its IRI.
        digest: What it is to hold by now.
        held: Its copies, by node.
        owners: The nodes that should hold it, the first one first.
        lost: Nodes that do not list it any more. Answers that were made of what they sent may have lacked it, so all marks are
            others as long as there are any.
    """
    is_settled = bool(owners) and all(node in held and held[node].digest == digest for node in owners)
    surplus = [node for node in held if is_settled and node not in owners]
    doubtful = [node for node, copy in held.items() if copy.digest and (node in lost or node in surplus)]
    there = {node: copy for node, copy in held.items() if copy.digest and node not in lost}
    suffix = sorted(node for node in doubtful if node in lost)

    current = [node for node in there if there[node].digest == digest]
    # With the version: what goes back to what it was has another mark than before, since in between it was something else.
    newest = str(max((there[node].version for node in current), default=0))
    current = [node for node in owners if node in current] + sorted(set(current) - {*owners, *doubtful})
    ranked = [Alike(mark(graph, digest, newest, *suffix), tuple(current))] if current else []

    stale = [node for node, copy in there.items() if copy.digest != digest and node not in doubtful]
    stale.sort(key=lambda node: (there[node].version, node in owners, node), reverse=True)
    ranked += [Alike(mark(graph, there[node].digest, str(there[node].version), *suffix), (node,)) for node in stale]
    if doubtful:
        ranked.append(Alike(DOUBTFUL, tuple(sorted(doubtful, key=lambda node: (node in lost, node)))))
    return tuple(ranked)


def by_rendezvous(graph: str, nodes: Iterable[str]) -> tuple[str, ...]:
    """Nodes in the order in which a graph is read from them, where no ring says it.

    It follows from the names alone, by rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
    rates", IEEE/ACM Transactions on Networking 6(1), 1998): every gateway chooses the same node, the nodes share the graphs,
    and one that goes leaves the choices between the others as they were.
    """
    return tuple(sorted(nodes, key=lambda node: mark(node, graph)))


def mark(*parts: str) -> int:
    """A number of 64 bits that stands for some texts; sums of such numbers (modulo 2 to the 64th) stand for sets."""
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
