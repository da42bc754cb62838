"""The gateway's WSGI application."""

from __future__ import annotations

from collections.abc import Callable

import flask

from federation.engine import Engine
from federation.protocol import problems
from federation.protocol.etag import revalidated
from federation.protocol.sparql import sparql_blueprint
from topology.gateway.api.cors import allow_other_origins
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.nodes import nodes_blueprint
from topology.gateway.api.offerings import offerings_blueprint
from topology.gateway.api.openapi import describe
from topology.gateway.catalogue_view import CatalogueView
from topology.ring import RingView

MAX_REQUEST_BYTES = 1024 * 1024
"""The largest request body, in bytes."""

_INDEX = {
    "GET or POST /sparql": "SPARQL 1.1 Protocol over all offerings; the same at /catalogue/sparql; ?explain=1 tells how",
    "GET /offerings": "which offerings there are, page by page: ?limit=100&offset=0",
    "POST /offerings": 'one description; send {"offerings_id": "<ledger address or offering IRI>"}',
    "GET /nodes": "the catalogue nodes and what is on them",
    "GET /health": "how the gateway and its nodes are",
    "GET /openapi.json": "all of this for programs, as an OpenAPI document",
}


def create_app(
    engine: Engine, view: CatalogueView, ring: Callable[[], RingView], *, partial_answers: bool = True
) -> flask.Flask:
    """Make the WSGI application of a gateway.

    Args:
        engine: Answers SPARQL queries.
        view: Finds the offerings, and the node to read each graph from.
        ring: Returns the current ring.
        partial_answers: Whether to answer when graphs may be missing; if not, the status is 503.
    """
    app = flask.Flask("gateway", static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(
        sparql_blueprint(engine, view.snapshot, max_request_bytes=MAX_REQUEST_BYTES, partial_answers=partial_answers)
    )
    app.register_blueprint(offerings_blueprint(engine, view, MAX_REQUEST_BYTES))
    app.register_blueprint(nodes_blueprint(view, ring))

    @app.get("/")
    def index() -> flask.Response:
        """Answer with the endpoints."""
        response = in_json(_INDEX)
        response.headers["Link"] = '<openapi.json>; rel="service-desc"'
        return revalidated(response, flask.request)

    @app.get("/openapi.json")
    def openapi() -> flask.Response:
        """Answer with the OpenAPI document."""
        return revalidated(in_json(describe()), flask.request)

    problems.register(app)
    allow_other_origins(app)
    return app
