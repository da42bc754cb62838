"""The topics that join the links, and which partition things stand in."""

from __future__ import annotations

import hashlib
import re
import zlib

from catena_core.topics import TopicSpec

ADDRESSES = "catena.addresses"
OFFERINGS = "catena.offerings"
RING = "catena.ring"
WRITES = "catena.writes"
PLACEMENTS = "catena.placements"
DEAD_LETTERS = "catena.dead-letters"

# Equally many, so that a router is given the offerings and the placements of the same graphs.
_GRAPH_PARTITIONS = 12
_WRITE_PARTITIONS = 4

# A graph travels in one message; topology.rdf.offering_graph bounds it below this.
_GRAPH_BYTES = 16 * 1024 * 1024

SPECS = (
    TopicSpec(ADDRESSES, 12, compacted=True),
    TopicSpec(OFFERINGS, _GRAPH_PARTITIONS, compacted=True, max_message_bytes=_GRAPH_BYTES),
    TopicSpec(RING, 1, compacted=True),
    TopicSpec(PLACEMENTS, _GRAPH_PARTITIONS, compacted=True),
    TopicSpec(DEAD_LETTERS, 1, max_message_bytes=_GRAPH_BYTES),
)


def writes_topic(node_id: str, prefix: str = WRITES) -> TopicSpec:
    """The topic of the writes for one node.

    Args:
        node_id: Any text; what Kafka does not allow in a topic's name is replaced, and a digest keeps names apart.
        prefix: What the names of all such topics begin with.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", node_id).strip("-")[:80]
    if readable != node_id:
        readable = f"{readable}-{hashlib.sha256(node_id.encode()).hexdigest()[:12]}"
    return TopicSpec(f"{prefix}.{readable}", _WRITE_PARTITIONS, max_message_bytes=_GRAPH_BYTES)


def graph_partition(graph: str, partitions: int) -> int:
    """The partition in which everything about a graph stands, whoever claims it.

    Args:
        graph: The graph's IRI.
        partitions: How many partitions there are.
    """
    return zlib.crc32(graph.encode()) % partitions
