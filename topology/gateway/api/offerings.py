"""The offerings over HTTP: the list of all, and the description of each."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import flask
import msgspec

from federation.engine import Engine
from federation.protocol.bodies import read_body
from federation.protocol.etag import revalidated, wants_fresh
from federation.protocol.negotiation import JSON_LD, choose_for_graph
from federation.protocol.problems import problem
from federation.protocol.sparql import with_charset, with_completeness
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.schemas import DEFAULT_LIMIT, MOST_LIMIT, OfferingPage, OfferingRequest
from topology.gateway.catalogue_view import CatalogueView
from topology.json_errors import NOT_JSON

_DESCRIPTION = "CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"


def offerings_blueprint(engine: Engine, view: CatalogueView, max_request_bytes: int) -> flask.Blueprint:
    """Make the routes ``GET /offerings`` and ``POST /offerings``.

    Args:
        engine: Reads descriptions.
        view: Finds the offerings, and the node to read each from.
        max_request_bytes: The largest request body, in bytes.
    """
    blueprint = flask.Blueprint("offerings", __name__)

    @blueprint.get("/offerings")
    def page() -> flask.Response:
        """Answer with some of the offerings, and links to the others."""
        try:
            limit = _number(flask.request.args, "limit", DEFAULT_LIMIT, 1, MOST_LIMIT)
            offset = _number(flask.request.args, "offset", 0, 0, 10**12)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        listed = view.offerings()
        response = in_json(OfferingPage(len(listed), limit, offset, list(listed[offset : offset + limit])))
        response.headers["Link"] = _links(len(listed), limit, offset)
        return revalidated(response, flask.request)

    @blueprint.post("/offerings")
    def description() -> flask.Response:
        """Answer with an offering's description, by its ledger address or its IRI."""
        request = flask.request
        body = read_body(request, max_request_bytes)
        try:
            asked = msgspec.json.decode(body, type=OfferingRequest).offerings_id
        except NOT_JSON as error:
            return problem(
                HTTPStatus.BAD_REQUEST, f'send {{"offerings_id": "<ledger address or offering IRI>"}}: {error}'
            )
        graph = view.graph_of(asked)
        if graph is None:
            return problem(HTTPStatus.NOT_FOUND, f"no offering is known as {asked[:300]}")
        chosen = choose_for_graph(_accepted(request), JSON_LD)
        if view.snapshot().source_of.get(graph) is None:
            return _held_nowhere(graph)
        answer = engine.query_with_failover(
            _DESCRIPTION.format(graph=graph),
            view.snapshot,
            media_type=chosen.media_type,
            fresh=wants_fresh(request),
            cancelled=request.environ.get("waitress.client_disconnected", lambda: False),
        )
        # An empty description would be a wrong one.
        if answer.missing:
            silent = f"no node that holds {graph} answers: {', '.join(answer.missing)}"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, silent, nodes=answer.missing)
        if view.snapshot().source_of.get(graph) is None:
            return _held_nowhere(graph)
        return with_completeness(answer, flask.Response(answer.body, content_type=with_charset(chosen.content_type)))

    return blueprint


def _held_nowhere(graph: str) -> flask.Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no node holds {graph} yet; ask again soon")


def _accepted(request: flask.Request) -> str:
    """Return the Accept header; a client that asks for JSON alone gets JSON-LD, labelled as such."""
    accept = request.headers.get("Accept", "")
    return JSON_LD if accept == "application/json" else accept


def _number(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    # int() accepts digits of other scripts, and takes long for many digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {text[:100]!r}")
    return int(text)


def _links(total: int, limit: int, offset: int) -> str:
    """Link to the other pages (RFC 8288), relative to this one, so that the links hold behind a proxy."""
    last = max(total - 1, 0) // limit * limit
    places = {"first": 0, "last": last}
    if offset > 0:
        places["prev"] = max(min(offset - limit, last), 0)
    if offset + limit < total:
        places["next"] = offset + limit
    return ", ".join(
        f'<?{urlencode({"limit": limit, "offset": place})}>; rel="{name}"' for name, place in places.items()
    )
