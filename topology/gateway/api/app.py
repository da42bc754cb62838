"""The gateway's WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import flask

from federation.engine import Engine
from federation.protocol import problems
from federation.protocol.etag import revalidated
from federation.protocol.graph_store import graph_store_blueprint
from federation.protocol.sparql import sparql_blueprint
from topology.consumer_groups import LinkStatus
from topology.gateway.api.browsers import keep_browsers_safe
from topology.gateway.api.catalogue import catalogue_blueprint
from topology.gateway.api.compression import compress_answers
from topology.gateway.api.cors import allow_other_origins
from topology.gateway.api.dataspace import dataspace_blueprint
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.nodes import State, nodes_blueprint
from topology.gateway.api.offerings import offerings_blueprint
from topology.gateway.api.openapi import describe
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.web.pages import pages_blueprint
from topology.records import Inspection
from topology.ring import RingView

MAX_REQUEST_BYTES = 1024 * 1024
"""The largest request body, in bytes."""

_INDEX = {
    "GET or POST /sparql": "SPARQL 1.1 Protocol over all offerings; the same at /catalogue/sparql; ?explain=1 tells how",
    "GET /data": "one graph: ?graph=<IRI>, or ?default for all of them as one; the same at /catalogue/data",
    "GET /offerings": "the offerings, page by page: ?q=words; ?limit=100&offset=0; ?state=failing those that do not come",
    "GET /offerings/<ledger address or offering IRI>": "one offering: its state in JSON, its description in RDF, by Accept",
    "POST /offerings": 'one description; send {"offerings_id": "<ledger address or offering IRI>"}',
    "GET /catalog": "all offerings as DCAT-AP 3, page by page, in Turtle, JSON-LD or RDF/XML",
    "POST /catalog/request": "the same by the Dataspace Protocol 2025-1; GET /catalog/datasets/<id> for one",
    "GET /nodes": "the catalogue nodes and what is on them",
    "GET /overview": "the state of all of it at a glance; as server-sent events, too",
    "GET /health": "how the gateway and its nodes are",
    "GET /openapi.json": "all of this for programs, as an OpenAPI document",
}


def create_app(
    engine: Engine,
    view: CatalogueView,
    ring: Callable[[], RingView],
    *,
    partial_answers: bool = True,
    refresh: Callable[[], None] = lambda: None,
    inspections: Mapping[str, Inspection] = MappingProxyType({}),
    links: Callable[[], Sequence[LinkStatus]] = tuple,
    failing: Callable[[], Mapping[str, str]] = dict,
    unlisted: Callable[[], Mapping[str, str]] = dict,
    url: str = "",
) -> flask.Flask:
    """Make the WSGI application of a gateway.

    Args:
        engine: Answers SPARQL queries.
        view: Finds the offerings, and the node to read each graph from.
        ring: Returns the current ring.
        partial_answers: Whether to answer when graphs may be missing; if not, the status is 503.
        refresh: Brings the view up to date before a query that bypasses all caches.
        inspections: The last inspection of each node, by its id.
        links: Returns the links on Kafka.
        failing: Returns the processes that a runner restarts in vain, and how they died.
        unlisted: Returns the nodes that are up and have not listed their graphs for long, and why.
        url: The gateway's public address, for catalogues; empty: the one that clients use.
    """
    app = flask.Flask("gateway", static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(pages_blueprint())
    app.register_blueprint(
        sparql_blueprint(
            engine,
            view.snapshot,
            max_request_bytes=MAX_REQUEST_BYTES,
            partial_answers=partial_answers,
            refresh=refresh,
        )
    )
    app.register_blueprint(graph_store_blueprint(engine, view.snapshot, partial_answers=partial_answers))
    app.register_blueprint(
        offerings_blueprint(engine, view, MAX_REQUEST_BYTES, url=url, partial_answers=partial_answers)
    )
    app.register_blueprint(catalogue_blueprint(engine, view, url=url, partial_answers=partial_answers))
    app.register_blueprint(
        dataspace_blueprint(engine, view, MAX_REQUEST_BYTES, url=url, partial_answers=partial_answers)
    )
    app.register_blueprint(nodes_blueprint(State(engine, view, ring, inspections, links, failing, unlisted)))

    @app.get("/")
    def index() -> flask.Response:
        """Answer with the endpoints."""
        response = in_json(_INDEX)
        response.headers["Link"] = '<openapi.json>; rel="service-desc"'
        response.headers["Vary"] = "Accept"
        return revalidated(response, flask.request)

    @app.get("/openapi.json")
    def openapi() -> flask.Response:
        """Answer with the OpenAPI document."""
        return revalidated(in_json(describe()), flask.request)

    compress_answers(app)
    problems.register(app)
    allow_other_origins(app)
    keep_browsers_safe(app)
    return app
