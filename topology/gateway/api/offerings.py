"""The offerings over HTTP: the list of all, and the description of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from http import HTTPStatus

import flask
import msgspec

from catena_core.text import bounded
from federation.engine import Engine
from federation.errors import FederationError
from federation.protocol.bodies import read_body
from federation.protocol.etag import revalidated, wants_fresh
from federation.protocol.negotiation import GRAPHS, JSON_LD, choose_for_graph
from federation.protocol.problems import problem
from federation.protocol.sparql import response_with, with_completeness
from topology.clients.ledger import same_address
from topology.gateway.api.base_address import base_address
from topology.gateway.api.catalogue import MOST_PAGE, dcat_writer
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.paging import link_header, read_paging
from topology.gateway.api.schemas import DEFAULT_LIMIT, MOST_LIMIT, STATES, OfferingPage, OfferingRequest
from topology.gateway.api.search import FACETS, search
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.harvesting.datasets import read_datasets
from topology.gateway.harvesting.schema_org import as_dataset
from topology.gateway.offering_list import ListedOffering
from topology.gateway.web.pages import is_for_people, page
from topology.json_errors import NOT_JSON
from topology.rdf.title import MOST_CHARACTERS

_DESCRIPTION = "CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"


def offerings_blueprint(
    engine: Engine, view: CatalogueView, max_request_bytes: int, *, url: str = "", partial_answers: bool = True
) -> flask.Blueprint:
    """Make the routes ``GET /offerings``, ``GET /offerings/<id>`` and ``POST /offerings``.

    Args:
        engine: Reads descriptions.
        view: Finds the offerings, and the node to read each from.
        max_request_bytes: The largest request body, in bytes.
        url: The gateway's public address; empty: the one that clients use.
        partial_answers: Whether to answer with a catalogue when offerings may be missing; if not, the status is 503.
    """
    blueprint = flask.Blueprint("offerings", __name__)
    in_dcat = dcat_writer(engine, view, url=url, partial_answers=partial_answers)

    @blueprint.get("/offerings")
    def list_page() -> flask.Response:
        """Answer with some of the offerings, and links to the others."""
        given = flask.request.args
        wants_graph = _names_graph(flask.request)
        try:
            paging = read_paging(given, DEFAULT_LIMIT, MOST_PAGE if wants_graph else MOST_LIMIT)
            states = _states(given.getlist("state"))
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        asked = given.get("id")
        listed = view.ledger_listing() if states or asked is not None else view.offerings()
        if states:
            listed = [one for one in listed if one.state in states]
        if asked is not None:
            listed = [one for one in listed if _is_called(one, asked)]
        answer = None
        words = " ".join(given.getlist("q")).strip()
        facets = [(name, value) for name in FACETS for value in given.getlist(name) if value.strip()]
        if words or facets:
            request = flask.request
            gone = request.environ.get("waitress.client_disconnected")
            try:
                listed, answer = search(engine, view, listed, words, facets, fresh=wants_fresh(request), cancelled=gone)
            except ValueError as error:
                return problem(HTTPStatus.BAD_REQUEST, str(error))
        if wants_graph:
            return in_dcat(listed, paging, choose_for_graph(flask.request.headers.get("Accept", "")))
        limit, offset = paging
        response = in_json(OfferingPage(len(listed), limit, offset, list(listed[offset : offset + limit])))
        kept = [(name, value) for name in ("state", "id", "q", *FACETS) for value in given.getlist(name)]
        response.headers["Link"] = link_header(paging.links(len(listed), kept))
        response.headers["Vary"] = "Accept"
        return with_completeness(answer, response) if answer else revalidated(response, flask.request)

    @blueprint.get("/offerings/<path:identifier>", merge_slashes=False)
    def one(identifier: str) -> flask.Response:
        """Answer with one offering: its entry, its description, or a page about it, as the client likes."""
        if _names_graph(flask.request):
            return described(identifier, flask.request.headers.get("Accept", ""))
        entry = next((one for one in view.ledger_listing() if _is_called(one, identifier)), None)
        if is_for_people(flask.request):
            response = about(entry, identifier)
            response.status_code = HTTPStatus.OK if entry else HTTPStatus.NOT_FOUND
            return response
        if entry is None:
            return problem(HTTPStatus.NOT_FOUND, _unknown(identifier, view))
        response = in_json(entry)
        response.headers["Vary"] = "Accept"
        return revalidated(response, flask.request)

    @blueprint.post("/offerings")
    def description() -> flask.Response:
        """Answer with an offering's description, by its ledger address or its IRI."""
        body = read_body(flask.request, max_request_bytes)
        try:
            asked = msgspec.json.decode(body, type=OfferingRequest).offerings_id
        except NOT_JSON as error:
            return problem(
                HTTPStatus.BAD_REQUEST, f'send {{"offerings_id": "<ledger address or offering IRI>"}}: {error}'
            )
        return described(asked, _accepted(flask.request))

    def described(asked: str, accept: str) -> flask.Response:
        request = flask.request
        graph = view.graph_of(asked)
        if graph is None:
            asked = _as_listed(asked, view)
            graph = view.graph_of(asked)
        if graph is None:
            return problem(HTTPStatus.NOT_FOUND, _unknown(asked, view))
        owner = view.owner_of(asked)
        if owner not in (None, asked):
            return problem(
                HTTPStatus.CONFLICT,
                f"{asked} describes {graph}, which belongs to {owner}: that address stands first in the ledger's listing; "
                f"ask for {owner}, or by the IRI",
            )
        chosen = choose_for_graph(accept, JSON_LD)
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
        return response_with(answer, chosen.content_type)

    def about(entry: ListedOffering | None, identifier: str) -> flask.Response:
        """Make the page of an offering; search engines find it without its data if no node gives that now."""
        found = []
        if entry and entry.graph:
            with contextlib.suppress(FederationError):
                found = read_datasets(engine, view.snapshot, [entry]).found
        if not found:
            return page("offerings", offering=identifier)
        structured = as_dataset(found[0], base_address(url))
        return page(
            "offerings",
            title=bounded(str(structured["name"]), MOST_CHARACTERS),
            offering=identifier,
            structured=structured,
        )

    return blueprint


def _names_graph(request: flask.Request) -> bool:
    """Tell whether a client names a format of graphs that it likes better than JSON and HTML."""
    accepted = request.accept_mimetypes
    named = [kind for kind in accepted.values() if kind in GRAPHS and not kind.endswith(("/json", "/xml"))]
    others = {kind: accepted.quality(kind) for kind in ("application/json", "text/html") if kind in accepted.values()}
    return any(accepted.quality(kind) > max(others.values(), default=0) for kind in named)


def _is_called(one: ListedOffering, asked: str) -> bool:
    return bool(asked) and (asked == one.graph or asked.lower() == one.address.lower())


def _as_listed(asked: str, view: CatalogueView) -> str:
    """Return an address as the ledger writes it, though a client may write it in other letters."""
    wanted = same_address(asked)
    return next((one.address for one in view.ledger_listing() if same_address(one.address) == wanted), asked)


def _unknown(asked: str, view: CatalogueView) -> str:
    for one in view.ledger_listing():
        if asked and asked.lower() == one.address.lower():
            return f"{asked[:300]} is on the ledger, but {one.state}: {one.error or 'its description has not come yet'}"
    return f"no offering is known as {asked[:300]}"


def _held_nowhere(graph: str) -> flask.Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no node holds {graph} yet; ask again soon")


def _accepted(request: flask.Request) -> str:
    """Return the Accept header; a client that asks for JSON alone gets JSON-LD, labelled as such."""
    accept = request.headers.get("Accept", "")
    return JSON_LD if accept == "application/json" else accept


def _states(given: Iterable[str]) -> frozenset[str]:
    """Return the states that a request names, with commas between them or in several parameters.

    Raises:
        ValueError: One of them is none.
    """
    names = {name for text in given for name in text.split(",")}
    if names == {"all"}:
        return frozenset(STATES)
    if unknown := names - STATES:
        raise ValueError(f"state is one or several of {', '.join(sorted(STATES))}, or all, not {min(unknown)[:100]!r}")
    return frozenset(names)
