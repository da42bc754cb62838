"""The catalogue nodes over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import flask

from federation.protocol.etag import revalidated
from topology.gateway.api.json_responses import in_json
from topology.gateway.offering_list import Finder, Listed
from topology.ring import RingView


def nodes_blueprint(
    finder: Finder, listing: Callable[[], Sequence[Listed]], ring: Callable[[], RingView]
) -> flask.Blueprint:
    """``GET /nodes`` and ``GET /health``.

    Args:
        finder: Knows which node each graph is read from.
        listing: The offerings, and which nodes hold them.
        ring: Called for the ring as it is now.
    """
    blueprint = flask.Blueprint("nodes", __name__)

    @blueprint.get("/health")
    def health() -> flask.Response:
        """Whether the gateway serves, and how its nodes are."""
        now = ring()
        states = {node.id: node.state for node in now.nodes.values()}
        status = "healthy" if states and all(state == "up" for state in states.values()) else "degraded"
        response = in_json({"status": status, "epoch": now.epoch, "nodes": states})
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.get("/nodes")
    def nodes() -> flask.Response:
        """The nodes, and what is on them."""
        now = ring()
        read = Counter(finder.snapshot().holders.values())
        placed = Counter(node for one in listing() for node in one.nodes)
        described = [
            {
                "id": node.id,
                "url": node.url,
                "state": node.state,
                "graphs_placed": placed[node.id],
                "graphs_read": read[node.id],
            }
            for _, node in sorted(now.nodes.items())
        ]
        return revalidated(in_json({"epoch": now.epoch, "nodes": described}), flask.request)

    return blueprint
