"""The records in the topics, as JSON text, so that any Kafka client can read them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from catena_core.text import without_credentials
from topology.rdf.title import title_of

Record = TypeVar("Record", bound=msgspec.Struct)


class AddressEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.addresses``: an event of an address on the ledger.

    Attributes:
        kind: ``listed`` when it is new, ``refresh`` when its description is due, ``delisted`` when it is gone.
        at: The time of the event, in milliseconds since the Unix epoch.
        failures: Always 0; earlier versions counted the events that led to no offering.
        order: The rank of the address in the ledger's listing, from 1, which stays when other entries go; 0: unknown.
    """

    kind: Literal["listed", "refresh", "delisted"]
    at: int
    failures: int = 0
    order: int = 0


AddressState = Literal["fetched", "stale", "failing", "gone"]
HashCheck = Literal["", "same", "differs"]


class AddressStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``catena.statuses``: the outcome of the last fetch; the key is the address, and a delisted one gets a tombstone.

    Times are in milliseconds since the Unix epoch.

    Attributes:
        state: ``fetched``; ``stale`` while an earlier description stands though its source fails; ``failing`` where none
            stands; ``gone`` once it was withdrawn, since its source has taken it down.
        event_at: The time of the event that it answers.
        since: When the state began.
        graph: The IRI of the offering that its last description describes.
        source: The URI of its description.
        owner: The owner that the ledger names.
        name: The name that the ledger gives.
        error: The last error; empty when all is well.
        rejected: Whether a description came that cannot be used.
        failures: The number of failures in a row.
        own_failures: How many of them came while the booth worked.
        timeouts: The number of time-outs in a row.
        next_try: When the next fetch is due; 0: with the next refresh.
        not_before: Refreshes before this time are skipped.
        hash_check: Whether the description had the hash that the ledger has of it; empty: not compared.
        etag: The entity tag of the last description.
        last_modified: Its date of change, as its provider wrote it.
        content: A digest of the last description and its URL.
        judged: A digest of all else that decided its outcome.
    """

    state: AddressState
    event_at: int
    since: int
    graph: str = ""
    source: str = ""
    owner: str = ""
    name: str = ""
    error: str = ""
    rejected: bool = False
    failures: int = 0
    own_failures: int = 0
    timeouts: int = 0
    next_try: int = 0
    not_before: int = 0
    hash_check: HashCheck = ""
    etag: str = ""
    last_modified: str = ""
    content: str = ""
    judged: str = ""


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
        order: The rank of the address in the ledger's listing, from 1; 0: unknown.
        dropped: The number of its statements that were left out, since a term of theirs is not well-formed.
        title: Its title, which readers look up in its content: records leave it out.
    """

    graph: str
    digest: str
    claimed_at: int
    owner: str = ""
    name: str = ""
    source: str = ""
    etag: str = ""
    order: int = 0
    dropped: int = 0
    title: str = ""


class Offering(OfferingHead, frozen=True, omit_defaults=True, kw_only=True):
    """``catena.offerings``: an offering with its content; the key is its address.

    Attributes:
        triples: The graph as canonical N-Triples, without blank nodes.
    """

    triples: str


class CompressedOffering(OfferingHead, frozen=True, kw_only=True):
    """An offering with its content compressed to about a tenth, for a process that holds many.

    Attributes:
        compressed: Its graph.
    """

    compressed: bytes

    def triples(self) -> str:
        """Return its graph as canonical N-Triples."""
        return zlib.decompress(self.compressed).decode()


def read_compressed(_address: str, value: Any, left_out: Mapping[str, str] = MappingProxyType({})) -> OfferingHead:
    """Decode a row of a table of ``catena.offerings`` that holds the contents as well.

    Args:
        value: The record.
        left_out: Digests by graph; contents with these are left out.
    """
    fields, triples = _titled(value)
    if left_out.get(fields["graph"]) == fields["digest"]:
        return OfferingHead(**fields)
    return CompressedOffering(compressed=zlib.compress(triples.encode(), 1), **fields)


def read_titled_head(_address: str, value: Any) -> OfferingHead:
    """Decode a row of a table of ``catena.offerings`` with the offerings' titles, without their contents."""
    return OfferingHead(**_titled(value)[0])


def read_head(_address: str, value: Any) -> OfferingHead:
    """Decode a row of a table of ``catena.offerings``."""
    return from_text(value, OfferingHead)


def _titled(value: Any) -> tuple[dict[str, Any], str]:
    """Return the fields of an offering, its title among them, and its content."""
    fields = msgspec.structs.asdict(from_text(value, Offering))
    triples: str = fields.pop("triples")
    fields["title"] = title_of(fields["graph"], triples)
    return fields, triples


def is_newer_claim(_address: str, old: OfferingHead | None, new: OfferingHead) -> bool:
    """Tell whether a row of such a table replaces the old one.

    The record of an address that claims another graph may move to another partition. Then only the time of the claim orders
    the old record and the new one.
    """
    return old is None or new.claimed_at >= old.claimed_at


class Claim(Protocol):
    """The part of an offering that decides to whom its graph belongs."""

    @property
    def order(self) -> int:
        """The rank of its address in the ledger's listing, from 1; 0: unknown."""

    @property
    def claimed_at(self) -> int:
        """When its address first claimed the graph, in milliseconds since the Unix epoch."""


def first_claim(claims: Mapping[str, Claim]) -> str | None:
    """Return the address that owns a graph: the first one in the ledger's listing; ``None`` without claims.

    Offerings of earlier versions have no rank. While one of the claims lacks it, the time of the claims decides.

    Args:
        claims: The claims to one graph, by address.
    """
    ranked = all(claim.order for claim in claims.values())
    return min(
        claims,
        key=lambda address: (claims[address].order if ranked else 0, claims[address].claimed_at, address),
        default=None,
    )


NodeState = Literal["up", "suspect", "down"]
NodeCondition = Literal["up", "draining", "suspect", "down"]
NodeProtocol = Literal["sedimark", "graph-store"]


class Endpoints(msgspec.Struct, frozen=True, omit_defaults=True):
    """The addresses of a node's protocols; an empty one is not known.

    Attributes:
        sparql: Takes SPARQL 1.1 queries.
        graph_store: Takes whole graphs, by the node's :data:`NodeProtocol`.
        update: Takes SPARQL 1.1 updates.
    """

    sparql: str = ""
    graph_store: str = ""
    update: str = ""


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A catalogue node on the ring.

    Attributes:
        id: Its name, which determines its place on the ring.
        url: Its endpoint, for instance ``http://host:3030/catalogue``.
        state: ``up``; ``suspect`` while it is silent within its grace period; ``down`` after that.
        since: The epoch in which it last came up; the writer then compares its graphs with the placements.
        protocol: The protocol for writing to it.
        weight: Its share of the graphs, beside a node of weight 1.
        draining: Whether it is to be emptied: it keeps its graphs until other nodes hold them, and gets no others.
        held_down_until: When it may be taken up again at the earliest, in milliseconds since the Unix epoch, since it came and
            went repeatedly; 0: it is not held down.
        endpoints: Its endpoints, as far as they were found.
        problem: The reason why it cannot be used although it answers; empty if there is none.
        silence: What its first failed check found, since it was last up; empty where it has not failed.
    """

    id: str
    url: str
    state: NodeState = "up"
    since: int = 0
    protocol: NodeProtocol = "sedimark"
    weight: float = 1.0
    draining: bool = False
    held_down_until: int = 0
    endpoints: Endpoints = Endpoints()
    problem: str = ""
    silence: str = ""

    @property
    def condition(self) -> NodeCondition:
        """Its state as operators see it: ``draining`` while it answers and is being emptied."""
        return "draining" if self.draining and self.state == "up" else self.state

    def __post_init__(self) -> None:
        """Drop a user and a password in the address; earlier versions published them."""
        if "@" in self.url:
            msgspec.structs.force_setattr(self, "url", without_credentials(self.url))

    @property
    def sparql_url(self) -> str:
        """The endpoint for queries."""
        return self.endpoints.sparql or f"{self.url}/sparql"


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


def is_newer_ring(_key: str, old: Ring | None, new: Ring) -> bool:
    """Tell whether a row of a table of ``catena.ring`` replaces the old one: the first record of each epoch counts."""
    return old is None or new.epoch > old.epoch


class Drain(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.drains``: a node that is to be emptied; the key is the node's id, and a tombstone takes it back.

    Attributes:
        node: The node's id.
        at: When it was asked for, in milliseconds since the Unix epoch.
    """

    node: str
    at: int


class WriteHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """A write without the content.

    Attributes:
        kind: ``put`` replaces the whole graph, ``delete`` removes it.
        node: The node's id.
        graph: The graph's IRI.
        address: The address that it belongs to.
        version: The offset of the newest record about the graph; a higher version is newer.
        epoch: The epoch of the ring that it was routed by.
        partition: The partition of ``catena.placements`` for the acknowledgement.
        digest: For ``put``, the digest of the new content.
    """

    kind: Literal["put", "delete"]
    node: str
    graph: str
    address: str
    version: int
    epoch: int
    partition: int
    digest: str = ""


class Write(WriteHead, frozen=True, omit_defaults=True):
    """``catena.writes.<node>``: a graph to put on a node or to delete from it; the key is the graph's IRI.

    Attributes:
        triples: For ``put``, the new content as canonical N-Triples.
    """

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
        foreign: True if the node holds a graph of this name that Catena did not put there. It stays as it is.
        in_doubt: True if the node holds a copy of it, whose content an inspection found to be another.
        by_value: The digest of the content with literals by value, see :func:`~topology.rdf.by_value.digest_by_value`; empty
            if it is the same as ``digest``.
        problem: The reason why the node has refused a write, or has failed on one, which the router sends again.
        unclaimed: True if the node has failed before anything was put there. A graph of this name there is not Catena's.
    """

    node: str
    graph: str
    address: str
    version: int
    epoch: int
    partition: int
    digest: str = ""
    refused: str = ""
    foreign: bool = False
    in_doubt: bool = False
    by_value: str = ""
    problem: str = ""
    unclaimed: bool = False


class Intent(msgspec.Struct, frozen=True):
    """``catena.intents``: graphs that a writer is about to put on a node for the first time.

    The key is the topic of the node's writes and a partition of it. A record replaces the one before, whose graphs have
    placements by then.

    Attributes:
        node: The node's id.
        graphs: The graphs' IRIs.
    """

    node: str
    graphs: tuple[str, ...]


class Inspection(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.inspections``: the last inspection of a node; the key is the node's id.

    Attributes:
        node: The node's id.
        at: Its time, in milliseconds since the Unix epoch.
        graphs: The number of graphs that the node had acknowledged.
        lost: How many of them it did not hold.
        altered: How many of them had other content, among those whose content was read.
        own_form: How many of them the node shows in a form of its own, even after they were sent again.
        repair_at: When lost graphs are sent again, in milliseconds since the Unix epoch; 0: they were sent at once.
        problem: The reason why the node could not be inspected.
        failing_since: When the first of the inspections began that have failed since the last good one, in milliseconds since
            the Unix epoch; 0: this one is good.
        lasting: Whether that was several intervals of inspection ago.
    """

    node: str
    at: int
    graphs: int = 0
    lost: int = 0
    altered: int = 0
    own_form: int = 0
    repair_at: int = 0
    problem: str = ""
    failing_since: int = 0
    lasting: bool = False


class Loss(msgspec.Struct, frozen=True, omit_defaults=True):
    """``catena.losses``: a gateway misses graphs on a node; the key is the node's id.

    Attributes:
        node: The node's id.
        at: The time, in milliseconds since the Unix epoch.
        graphs: The number of graphs.
    """

    node: str
    at: int
    graphs: int


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
