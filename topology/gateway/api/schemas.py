"""The JSON bodies of the gateway's API, apart from query results."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from topology.consumer_groups import LinkStatus
from topology.gateway.offering_list import ListedOffering, OfferingState
from topology.records import Inspection, NodeCondition

STATES = frozenset(get_args(OfferingState))
DEFAULT_LIMIT = 100
MOST_LIMIT = 1000

Count = Annotated[int, Meta(ge=0)]
Position = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=1, le=MOST_LIMIT)]
Uri = Annotated[str, Meta(extra_json_schema={"format": "uri"})]


class OfferingPage(msgspec.Struct):
    """A page of the offerings.

    Attributes:
        total: The number of offerings on all pages.
        limit: The number of offerings on a full page.
        offset: The number of offerings before this page.
        offerings: The offerings on this page.
    """

    total: Count
    limit: Limit
    offset: Count
    offerings: list[ListedOffering]


class OfferingRequest(msgspec.Struct):
    """A request for the description of an offering.

    Attributes:
        offerings_id: Its address on the ledger, or its IRI.
    """

    offerings_id: str


class NodeStatus(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A catalogue node.

    Attributes:
        id: Its name on the ring.
        url: Its endpoint.
        state: Whether it answers its health checks; ``draining`` if it does and is being emptied.
        graphs_placed: The number of offerings' graphs on it.
        graphs_read: The number of graphs that queries read from it.
        graphs_missing: The number of graphs that it should hold and does not; left out if there are none.
        weight: Its share of the graphs, beside a node of weight 1; left out if it is 1.
        held_down_until: When a node that came and went repeatedly is taken up again, at the earliest, in milliseconds since
            the Unix epoch; left out if it is not held down.
        inspection: The last comparison of its graphs with those that it acknowledged; left out before the first one.
        conflicts: The number of graphs of its owner that keep offerings of their names out; left out if there are none.
        conflicting_graphs: The first of their names, at most 100; left out if there are none.
        problem: The reason why it does not answer, cannot be used although it does, or does not take graphs; left out if there
            is none.
    """

    id: str
    url: Uri
    state: NodeCondition
    graphs_placed: Count
    graphs_read: Count
    graphs_missing: Count = 0
    weight: float = 1.0
    held_down_until: Count = 0
    inspection: Inspection | msgspec.UnsetType = msgspec.UNSET
    conflicts: Count = 0
    conflicting_graphs: list[str] = msgspec.field(default_factory=list)
    problem: str = ""


class NodeList(msgspec.Struct):
    """The catalogue nodes.

    Attributes:
        epoch: Rises with each change of the nodes.
        nodes: The nodes, sorted by id.
    """

    epoch: Count
    nodes: list[NodeStatus]


class ViewState(msgspec.Struct, omit_defaults=True):
    """The state of the gateway's own store of every graph.

    Attributes:
        state: ``complete`` if queries run over it, ``building`` while it is filled, ``off`` if it has no room.
        graphs: The number of graphs in it.
        of: The number of graphs that it should have.
        reason: The reason for being off; left out otherwise.
    """

    state: Literal["complete", "building", "off"]
    graphs: Count
    of: Count
    reason: str = ""


class Health(msgspec.Struct, omit_defaults=True):
    """The health of the gateway and its nodes.

    Attributes:
        status: ``healthy`` if all nodes are up and can be inspected, not all of them are draining, no copy is missing, no node
            refuses a deletion or more graphs than it takes, and no part of ``catena up`` fails.
        epoch: Rises with each change of the nodes.
        nodes: The state of each node, by its id; left out for clients that may not use the admin part.
        copies_missing: The number of copies that offerings lack; left out if there are none.
        copies_refused: The number of copies that nodes refuse to take or to delete; left out if there are none.
        view: The state of the gateway's view; left out if it has none.
        failing: The processes that ``catena up`` restarts in vain, and how they died; left out like ``nodes``, and if none are.
        uninspected: The nodes that are up and could not be inspected for several intervals, and why; left out in the same way.
        unusable: The nodes that answer and cannot be used, and why; left out in the same way.
        refusing: The nodes that refuse copies, how many graphs, and why; left out in the same way.
    """

    status: Literal["healthy", "degraded"]
    epoch: Count
    nodes: dict[str, NodeCondition] | msgspec.UnsetType = msgspec.UNSET
    copies_missing: Count = 0
    copies_refused: Count = 0
    view: ViewState | None = None
    failing: dict[str, str] = {}
    uninspected: dict[str, str] = {}
    unusable: dict[str, str] = {}
    refusing: dict[str, str] = {}


class Overview(msgspec.Struct):
    """The state of the catalogue at a glance.

    Attributes:
        health: The health of the gateway and its nodes.
        offerings: The number of offerings.
        states: The number of addresses on the ledger in each state; empty without a ledger.
        nodes: The nodes, sorted by id; left out for clients that may not use the admin part.
        links: The links on Kafka; empty until Kafka has told, and left out like ``nodes``.
        circle: The nodes that come next, clockwise, at 360 evenly spaced places of the hash ring; empty where no graphs are
            placed, and left out like ``nodes``.
    """

    health: Health
    offerings: Count
    states: dict[str, int]
    nodes: list[NodeStatus] | msgspec.UnsetType = msgspec.UNSET
    links: list[LinkStatus] | msgspec.UnsetType = msgspec.UNSET
    circle: list[str] | msgspec.UnsetType = msgspec.UNSET


class Problem(msgspec.Struct, omit_defaults=True):
    """Problem details (RFC 9457).

    Attributes:
        title: The phrase of the HTTP status.
        status: The HTTP status.
        detail: What is wrong, and what to do.
        line: The line where the query goes wrong, from 1.
        column: The character of that line, from 1.
        nodes: Ids of the nodes that do not answer.
    """

    title: str
    status: int
    detail: str
    line: Position | msgspec.UnsetType = msgspec.UNSET
    column: Position | msgspec.UnsetType = msgspec.UNSET
    nodes: list[str] | msgspec.UnsetType = msgspec.UNSET
