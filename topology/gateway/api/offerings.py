"""Offerings over HTTP: a list of all, and the description of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import flask
import msgspec

from federation.engine import Engine
from federation.protocol.bodies import read_body
from federation.protocol.etag import revalidated, wants_fresh
from federation.protocol.negotiation import JSON_LD, choose_for_graph
from federation.protocol.problems import problem
from federation.protocol.sparql import told_of, with_charset
from topology.gateway.api.json_responses import in_json
from topology.gateway.offering_list import Finder, Listed
from topology.json_errors import NOT_JSON

DEFAULT_LIMIT = 100
MOST_LIMIT = 1000

_DESCRIPTION = "CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"


class _OfferingRequest(msgspec.Struct):
    offerings_id: str


class _Offering(msgspec.Struct, omit_defaults=True):
    graph: str
    nodes: tuple[str, ...]
    address: str = ""
    owner: str = ""
    name: str = ""


class _Page(msgspec.Struct):
    total: int
    limit: int
    offset: int
    offerings: list[_Offering]


def offerings_blueprint(
    engine: Engine, finder: Finder, listing: Callable[[], Sequence[Listed]], max_request_bytes: int
) -> flask.Blueprint:
    """``GET /offerings`` and ``POST /offerings``.

    Args:
        engine: Reads descriptions.
        finder: Knows the offerings, and which node to read each from.
        listing: The offerings, in an order that stays.
        max_request_bytes: The largest request body that is read.
    """
    blueprint = flask.Blueprint("offerings", __name__)

    @blueprint.get("/offerings")
    def page() -> flask.Response:
        """Some of the offerings, and where to find the others."""
        try:
            limit = _number(flask.request.args, "limit", DEFAULT_LIMIT, 1, MOST_LIMIT)
            offset = _number(flask.request.args, "offset", 0, 0, 10**12)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        listed = listing()
        content = _Page(
            len(listed),
            limit,
            offset,
            [
                _Offering(one.graph, one.nodes, one.address, one.owner, one.name)
                for one in listed[offset : offset + limit]
            ],
        )
        response = in_json(content)
        response.headers["Link"] = _links(len(listed), limit, offset)
        return revalidated(response, flask.request)

    @blueprint.post("/offerings")
    def description() -> flask.Response:
        """An offering's description, by its ledger address or its IRI."""
        request = flask.request
        body = read_body(request, max_request_bytes)
        try:
            asked = msgspec.json.decode(body, type=_OfferingRequest).offerings_id
        except NOT_JSON as error:
            return problem(
                HTTPStatus.BAD_REQUEST, f'send {{"offerings_id": "<ledger address or offering IRI>"}}: {error}'
            )
        graph = finder.graph_of(asked)
        if graph is None:
            return problem(HTTPStatus.NOT_FOUND, f"no offering is known as {asked[:300]}")
        chosen = choose_for_graph(_accepted(request), JSON_LD)
        if finder.snapshot().holders.get(graph) is None:
            return _held_nowhere(graph)
        answer = engine.query_with_failover(
            _DESCRIPTION.format(graph=graph),
            finder.snapshot,
            accept=chosen.content_type,
            fresh=wants_fresh(request),
            cancelled=request.environ.get("waitress.client_disconnected", lambda: False),
        )
        # An empty description would be a wrong one.
        if answer.missing:
            silent = f"no node that holds {graph} answers: {', '.join(answer.missing)}"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, silent, nodes=answer.missing)
        if finder.snapshot().holders.get(graph) is None:
            return _held_nowhere(graph)
        return told_of(answer, flask.Response(answer.body, content_type=with_charset(answer.content_type)))

    return blueprint


def _held_nowhere(graph: str) -> flask.Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no node holds {graph} yet; ask again soon")


def _accepted(request: flask.Request) -> str:
    """Who asks for JSON alone is given JSON-LD, and told so."""
    accept = request.headers.get("Accept", "")
    return JSON_LD if accept == "application/json" else accept


def _number(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    # int() would take other scripts' digits, and need long for many.
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {text[:100]!r}")
    return int(text)


def _links(total: int, limit: int, offset: int) -> str:
    """Other pages (RFC 8288), relative to this one, so that they are right behind a proxy too."""
    last = max(total - 1, 0) // limit * limit
    places = {"first": 0, "last": last}
    if offset > 0:
        places["prev"] = max(min(offset - limit, last), 0)
    if offset + limit < total:
        places["next"] = offset + limit
    return ", ".join(
        f'<?{urlencode({"limit": limit, "offset": place})}>; rel="{name}"' for name, place in places.items()
    )
