"""The catalogue nodes over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import flask

from federation.protocol.etag import revalidated
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.schemas import Health, NodeList, NodeStatus
from topology.gateway.catalogue_view import CatalogueView
from topology.ring import RingView


def nodes_blueprint(view: CatalogueView, ring: Callable[[], RingView]) -> flask.Blueprint:
    """Make the routes ``GET /nodes`` and ``GET /health``.

    Args:
        view: Finds the offerings, and the node to read each graph from.
        ring: Returns the current ring.
    """
    blueprint = flask.Blueprint("nodes", __name__)

    @blueprint.get("/health")
    def health() -> flask.Response:
        """Answer with the health of the gateway and its nodes."""
        now = ring()
        states = {node.id: node.state for node in now.nodes.values()}
        all_up = bool(states) and all(state == "up" for state in states.values())
        response = in_json(Health("healthy" if all_up else "degraded", now.epoch, states))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.get("/nodes")
    def nodes() -> flask.Response:
        """Answer with the nodes and the numbers of graphs on them."""
        now = ring()
        read = Counter(view.snapshot().source_of.values())
        placed = Counter(node for offering in view.offerings() for node in offering.nodes)
        described = [
            NodeStatus(node.id, node.url, node.state, placed[node.id], read[node.id])
            for _, node in sorted(now.nodes.items())
        ]
        return revalidated(in_json(NodeList(now.epoch, described)), flask.request)

    return blueprint
