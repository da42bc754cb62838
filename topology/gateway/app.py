"""The gateway's HTTP surface."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flask
import msgspec

from topology.federation.engine import Engine
from topology.federation.errors import FederationError, NotAcceptable
from topology.federation.protocol import COMPLETENESS, sparql_blueprint
from topology.federation.sources import Snapshot
from topology.gateway.directory import Directory
from topology.json_errors import NOT_JSON
from topology.ring import RingView

_MOST_REQUEST_BYTES = 1024 * 1024
_DESCRIPTION = "CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"
_JSON_LD = "application/ld+json"


class _OfferingRequest(msgspec.Struct):
    offerings_id: str


def create_app(engine: Engine, directory: Directory, ring: Callable[[], RingView]) -> flask.Flask:
    """The WSGI application of a gateway.

    Args:
        engine: Answers SPARQL queries.
        directory: Says from which node each graph is read.
        ring: Called for the ring as it is now.
    """
    app = flask.Flask("gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MOST_REQUEST_BYTES
    app.register_blueprint(sparql_blueprint(engine, directory.snapshot, max_request_bytes=_MOST_REQUEST_BYTES))

    @app.get("/")
    def index() -> flask.Response:
        """What there is to ask for."""
        return flask.jsonify(
            {
                "GET or POST /sparql": "SPARQL 1.1 Protocol over all offerings; the same at /catalogue/sparql",
                "POST /offerings": 'one description; send {"offerings_id": "<ledger address or offering IRI>"}',
                "GET /health": "how the gateway and its nodes are",
            }
        )

    @app.get("/health")
    def health() -> flask.Response:
        """Whether the gateway serves, and how its nodes are."""
        now = ring()
        states = {node.id: node.state for node in now.nodes.values()}
        status = "healthy" if states and all(state == "up" for state in states.values()) else "degraded"
        return flask.jsonify(status=status, epoch=now.epoch, nodes=states)

    @app.post("/offerings")
    def offerings() -> flask.Response:
        """An offering's description, by its ledger address or its IRI."""
        try:
            asked = msgspec.json.decode(flask.request.get_data(), type=_OfferingRequest).offerings_id
        except NOT_JSON as error:
            return _error(400, f'send {{"offerings_id": "<ledger address or offering IRI>"}}: {error}')
        graph = directory.graph_of(asked)
        if graph is None:
            return _error(404, f"no offering is known as {asked[:300]}")
        accept = flask.request.headers.get("Accept", "")
        seen: list[Snapshot] = []

        def look(avoid: frozenset[str]) -> Snapshot:
            seen.append(directory.snapshot(avoid))
            return seen[-1]

        try:
            answer = engine.query_with_failover(
                _DESCRIPTION.format(graph=graph),
                look,
                accept=_JSON_LD if accept in ("", "*/*", "application/json") else accept,
            )
        except NotAcceptable as error:
            return _error(406, str(error))
        except FederationError as error:
            return _error(503, str(error))
        holder = seen[-1].holders.get(graph)
        if holder is None:
            return _error(503, f"no node holds {graph} yet; ask again soon")
        if holder == "":
            return _error(503, f"no node that holds {graph} answers: {', '.join(answer.missing)}")
        response = flask.Response(answer.body, content_type=answer.content_type)
        response.headers[COMPLETENESS] = "complete"
        return response

    @app.errorhandler(413)
    def too_large(_error_: Any) -> flask.Response:
        return _error(413, f"the request has more than the {_MOST_REQUEST_BYTES} bytes that are read")

    return app


def _error(status: int, message: str) -> flask.Response:
    return flask.Response(json.dumps({"error": message}), status=status, content_type="application/json")
