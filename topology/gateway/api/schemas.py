"""The JSON bodies of the gateway's API, apart from query results."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from topology.gateway.offering_list import ListedOffering
from topology.records import NodeState

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


class NodeStatus(msgspec.Struct, forbid_unknown_fields=True):
    """A catalogue node.

    Attributes:
        id: Its name on the ring.
        url: Its endpoint.
        state: Whether it answers its health checks.
        graphs_placed: The number of offerings' graphs on it.
        graphs_read: The number of graphs that queries read from it.
    """

    id: str
    url: Uri
    state: NodeState
    graphs_placed: Count
    graphs_read: Count


class NodeList(msgspec.Struct):
    """The catalogue nodes.

    Attributes:
        epoch: Rises with each change of the nodes.
        nodes: The nodes, sorted by id.
    """

    epoch: Count
    nodes: list[NodeStatus]


class Health(msgspec.Struct):
    """The health of the gateway and its nodes.

    Attributes:
        status: ``healthy`` if all nodes are up.
        epoch: Rises with each change of the nodes.
        nodes: The state of each node, by its id.
    """

    status: Literal["healthy", "degraded"]
    epoch: Count
    nodes: dict[str, NodeState]


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
