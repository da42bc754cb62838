"""The topics between the links, and the partition of each graph."""

from __future__ import annotations

import hashlib
import re
import zlib

from catena_core.topics import TopicSpec

ADDRESSES = "catena.addresses"
STATUSES = "catena.statuses"
OFFERINGS = "catena.offerings"
RING = "catena.ring"
WRITES = "catena.writes"
PLACEMENTS = "catena.placements"
DRAINS = "catena.drains"
INTENTS = "catena.intents"
INSPECTIONS = "catena.inspections"
LOSSES = "catena.losses"
DEAD_LETTERS = "catena.dead-letters"

# The same for both topics, so that a router gets the offerings and the placements of the same graphs.
_GRAPH_PARTITIONS = 12
_WRITE_PARTITIONS = 4

# One message carries a whole graph, which topology.rdf.offering_graph keeps below this size.
_GRAPH_BYTES = 16 * 1024 * 1024

SPECS = (
    TopicSpec(ADDRESSES, 12, compacted=True),
    TopicSpec(STATUSES, 12, compacted=True),
    TopicSpec(OFFERINGS, _GRAPH_PARTITIONS, compacted=True, max_message_bytes=_GRAPH_BYTES),
    TopicSpec(RING, 1, compacted=True),
    TopicSpec(PLACEMENTS, _GRAPH_PARTITIONS, compacted=True),
    TopicSpec(DRAINS, 1, compacted=True),
    TopicSpec(INTENTS, 1, compacted=True),
    TopicSpec(INSPECTIONS, 1, compacted=True),
    TopicSpec(LOSSES, 1, compacted=True),
    TopicSpec(DEAD_LETTERS, 1, max_message_bytes=_GRAPH_BYTES),
)

# The topics whose records are written once and must last. Those of the other compacted topics are written again and again.
LASTING = (ADDRESSES, OFFERINGS, PLACEMENTS, DRAINS)


def writes_topic(node_id: str, prefix: str = WRITES) -> TopicSpec:
    """Return the topic of the writes to one node.

    Args:
        node_id: Any text. Characters that Kafka forbids in names are replaced; a digest then keeps names apart.
        prefix: The beginning of the names of all such topics.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", node_id).strip("-")[:80]
    if readable != node_id:
        readable = f"{readable}-{hashlib.sha256(node_id.encode()).hexdigest()[:12]}"
    return TopicSpec(f"{prefix}.{readable}", _WRITE_PARTITIONS, max_message_bytes=_GRAPH_BYTES)


def graph_partition(graph: str, partitions: int) -> int:
    """Return the partition of all records about a graph, whoever claims it.

    Args:
        graph: The graph's IRI.
        partitions: The number of partitions.
    """
    return zlib.crc32(graph.encode()) % partitions


def address_partition(address: str, partitions: int) -> int:
    """Return the partition of all events of an address on the ledger.

    Args:
        address: The address.
        partitions: The number of partitions.
    """
    return zlib.crc32(address.encode()) % partitions
