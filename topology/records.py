"""What the topics carry: one record type for each, as JSON text, so that any Kafka client can read along."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

Record = TypeVar("Record", bound=msgspec.Struct)


class AddressEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.addresses``: what became of an address of the ledger.

    Attributes:
        kind: ``listed`` when it is new, ``refresh`` when its description is due, ``delisted`` when it is gone.
        at: When that was seen, in milliseconds since the Unix epoch.
        failures: How many times in a row it was emitted before without an offering coming of it.
    """

    kind: Literal["listed", "refresh", "delisted"]
    at: int
    failures: int = 0


class OfferingHead(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An offering without its content, which those who only need to know of it do not read.

    Attributes:
        graph: The offering's IRI, which is the name of its graph.
        digest: SHA-256 of its content, in hex.
        claimed_at: When this address first claimed the graph, in milliseconds since the Unix epoch.
        owner: The owner that the ledger names.
        name: The name that the ledger gives.
        source: The URI that the description came from.
        etag: The entity tag it came with.
    """

    graph: str
    digest: str
    claimed_at: int
    owner: str = ""
    name: str = ""
    source: str = ""
    etag: str = ""


class Offering(OfferingHead, frozen=True, omit_defaults=True, kw_only=True):
    """``catena.offerings``: an offering as it is to be kept; the key is its address.

    Attributes:
        triples: The graph as canonical N-Triples, without blank nodes.
    """

    triples: str


def read_head(_address: str, value: Any) -> OfferingHead:
    """The row that a table of ``catena.offerings`` keeps."""
    return from_text(value, OfferingHead)


def is_newer_claim(_address: str, old: OfferingHead | None, new: OfferingHead) -> bool:
    """Whether a row of such a table takes the old one's place.

    An address that claims another graph moves to another partition, where nothing orders the old record and the new one; the
    time of the claim does.
    """
    return old is None or new.claimed_at >= old.claimed_at


NodeState = Literal["up", "suspect", "down"]


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A catalogue node on the ring.

    Attributes:
        id: Its name, which decides its place on the ring.
        url: Its endpoint, for instance ``http://host:3030/catalogue``.
        state: ``up``; ``suspect`` while it is silent and within its grace period; ``down`` when that is over.
        since: The epoch in which it last came up: it is to be compared with what it should hold.
        protocol: How it is written to.
    """

    id: str
    url: str
    state: NodeState = "up"
    since: int = 0
    protocol: Literal["sedimark", "graph-store"] = "sedimark"


class Ring(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.ring``: the nodes and how offerings are placed on them; the key is ``ring``.

    Attributes:
        epoch: Rises by one with each change.
        nodes: All known nodes.
        virtual_nodes: Points of each node on the hash ring.
        replicas: How many nodes hold each offering.
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
        address: The address it belongs to.
        version: The offset of the newest offering that was known of the graph: the higher is the newer.
        epoch: The ring's epoch by which it was routed.
        partition: The partition of ``catena.placements`` that the acknowledgement belongs in.
        digest: What the graph will be, for ``put``.
        triples: Its canonical N-Triples, for ``put``.
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
    """``catena.placements``: what a node acknowledged; the key is :func:`placement_key`.

    Attributes:
        node: The node's id.
        graph: The graph's IRI.
        address: The address it belongs to.
        version: The version that was written.
        epoch: The ring's epoch by which it was routed.
        partition: The partition that this record stands in.
        digest: What the node holds now; empty when that is unknown, because it refused a write or failed on it. What a node
            does not hold has no placement.
        refused: The digest that the node refused to take, or :data:`REFUSED_DELETE`, when it did.
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
    """The key of a placement; a space stands in no IRI, so the last one parts the two."""
    return f"{node} {graph}"


def split_placement_key(key: str) -> tuple[str, str]:
    """The node and the graph that a placement's key names."""
    node, _, graph = key.rpartition(" ")
    return node, graph


def to_text(record: msgspec.Struct) -> str:
    """A record as JSON text."""
    return msgspec.json.encode(record).decode()


def from_text(text: Any, kind: type[Record]) -> Record:
    """A record from its JSON text.

    Raises:
        msgspec.ValidationError: The text is not such a record.
    """
    return msgspec.json.decode(text, type=kind)
