"""The records in the topics, as JSON text, so that any Kafka client can read them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

Record = TypeVar("Record", bound=msgspec.Struct)


class AddressEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.addresses``: an event of an address on the ledger.

    Attributes:
        kind: ``listed`` when it is new, ``refresh`` when its description is due, ``delisted`` when it is gone.
        at: The time of the event, in milliseconds since the Unix epoch.
        failures: The number of earlier events in a row that led to no offering.
    """

    kind: Literal["listed", "refresh", "delisted"]
    at: int
    failures: int = 0


class OfferingHead(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An offering without its content.

    Attributes:
        graph: The offering's IRI, which is the name of its graph.
        digest: SHA-256 of its content, in hexadecimal.
        claimed_at: When this address first claimed the graph, in milliseconds since the Unix epoch.
        owner: The owner that the ledger names.
        name: The name that the ledger gives.
        source: The URI of its description.
        etag: The entity tag of that description.
    """

    graph: str
    digest: str
    claimed_at: int
    owner: str = ""
    name: str = ""
    source: str = ""
    etag: str = ""


class Offering(OfferingHead, frozen=True, omit_defaults=True, kw_only=True):
    """``catena.offerings``: an offering with its content; the key is its address.

    Attributes:
        triples: The graph as canonical N-Triples, without blank nodes.
    """

    triples: str


def read_head(_address: str, value: Any) -> OfferingHead:
    """Decode a row of a table of ``catena.offerings``."""
    return from_text(value, OfferingHead)


def is_newer_claim(_address: str, old: OfferingHead | None, new: OfferingHead) -> bool:
    """Tell whether a row of such a table replaces the old one.

    The record of an address that claims another graph may move to another partition. Then only the time of the claim orders
    the old record and the new one.
    """
    return old is None or new.claimed_at >= old.claimed_at


NodeState = Literal["up", "suspect", "down"]
NodeProtocol = Literal["sedimark", "graph-store"]


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A catalogue node on the ring.

    Attributes:
        id: Its name, which determines its place on the ring.
        url: Its endpoint, for instance ``http://host:3030/catalogue``.
        state: ``up``; ``suspect`` while it is silent within its grace period; ``down`` after that.
        since: The epoch in which it last came up; the writer then compares its graphs with the placements.
        protocol: The protocol for writing to it.
    """

    id: str
    url: str
    state: NodeState = "up"
    since: int = 0
    protocol: NodeProtocol = "sedimark"


class Ring(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.ring``: the nodes, and the parameters of the placement; the key is ``ring``.

    Attributes:
        epoch: Rises by one with each change.
        nodes: All known nodes.
        virtual_nodes: The number of points of each node on the hash ring.
        replicas: The number of nodes that hold each offering.
        previous: The nodes of the epoch before.
    """

    epoch: int
    nodes: tuple[Node, ...]
    virtual_nodes: int
    replicas: int
    previous: tuple[Node, ...] = ()


RING_KEY = "ring"


class Write(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.writes.<node>``: a graph to put on a node or to delete from it; the key is the graph's IRI.

    Attributes:
        kind: ``put`` replaces the whole graph, ``delete`` removes it.
        node: The node's id.
        graph: The graph's IRI.
        address: The address that it belongs to.
        version: The offset of the newest record about the graph; a higher version is newer.
        epoch: The epoch of the ring that it was routed by.
        partition: The partition of ``catena.placements`` for the acknowledgement.
        digest: For ``put``, the digest of the new content.
        triples: For ``put``, the new content as canonical N-Triples.
    """

    kind: Literal["put", "delete"]
    node: str
    graph: str
    address: str
    version: int
    epoch: int
    partition: int
    digest: str = ""
    triples: str = ""


class Placement(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.placements``: a node's acknowledgement; the key is :func:`placement_key`.

    Attributes:
        node: The node's id.
        graph: The graph's IRI.
        address: The address that it belongs to.
        version: The version that was written.
        epoch: The epoch of the ring that it was routed by.
        partition: The partition of this record.
        digest: The digest of the node's content; empty if it is unknown, since the node refused a write or failed on it. A
            graph that the node does not hold has no placement.
        refused: The digest of a refused put, or :data:`REFUSED_DELETE` for a refused delete.
    """

    node: str
    graph: str
    address: str
    version: int
    epoch: int
    partition: int
    digest: str = ""
    refused: str = ""


REFUSED_DELETE = "delete"


def placement_key(node: str, graph: str) -> str:
    """Return the key of a placement; no IRI has a space, so the last space separates the two parts."""
    return f"{node} {graph}"


def split_placement_key(key: str) -> tuple[str, str]:
    """Return the node and the graph of a placement's key."""
    node, _, graph = key.rpartition(" ")
    return node, graph


def to_text(record: msgspec.Struct) -> str:
    """Encode a record as JSON text."""
    return msgspec.json.encode(record).decode()


def from_text(text: Any, kind: type[Record]) -> Record:
    """Decode a record from its JSON text.

    Raises:
        msgspec.ValidationError: The text is not such a record.
    """
    return msgspec.json.decode(text, type=kind)
