"""The catalogue for connectors, by the HTTPS binding of the Dataspace Protocol 2025-1 (https://w3id.org/dspace/2025/1/)."""

from __future__ import annotations

from http import HTTPStatus

import flask
import msgspec

from federation.engine import Engine
from federation.errors import FederationError
from federation.protocol.bodies import read_body
from federation.protocol.etag import revalidated
from federation.protocol.problems import of_error, problem
from federation.protocol.sparql import with_completeness
from topology.gateway.api.base_address import base_address
from topology.gateway.api.catalogue import DEFAULT_PAGE, MOST_PAGE
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.paging import link_header, read_paging
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.harvesting import dsp
from topology.gateway.harvesting.datasets import read_datasets
from topology.json_errors import NOT_JSON


class _CatalogueRequest(msgspec.Struct, rename={"context": "@context", "type": "@type"}):
    context: list[object]  # connectors add vocabularies of their own
    type: str
    filter: list[object] = []


def dataspace_blueprint(
    engine: Engine, view: CatalogueView, max_request_bytes: int, *, url: str = "", partial_answers: bool = True
) -> flask.Blueprint:
    """Make the routes ``POST /catalog/request``, ``GET /catalog/datasets/<id>`` and ``GET /.well-known/dspace-version``.

    Args:
        engine: Reads the offerings.
        view: Finds the offerings, and the node to read each from.
        max_request_bytes: The largest request body, in bytes.
        url: The gateway's public address; empty: the one that clients use.
        partial_answers: Whether to answer with a catalogue when offerings may be missing; if not, the status is 503.
    """
    blueprint = flask.Blueprint("dataspace", __name__)

    @blueprint.post("/catalog/request")
    def catalogue() -> flask.Response:
        """Answer with a page of the catalogue."""
        body = read_body(flask.request, max_request_bytes)
        try:
            asked = msgspec.json.decode(body, type=_CatalogueRequest)
            if asked.type != "CatalogRequestMessage" or dsp.CONTEXT not in asked.context:
                raise ValueError(f"send a CatalogRequestMessage with the context {dsp.CONTEXT}")
            if asked.filter:
                raise ValueError("there are no filters here: leave filter out, or ask by SPARQL")
            paging = read_paging(flask.request.args, DEFAULT_PAGE, MOST_PAGE)
        except (*NOT_JSON, ValueError) as error:
            return _failed(HTTPStatus.BAD_REQUEST, str(error))
        listed = view.offerings()
        some = [one for one in listed[paging.offset : paging.offset + paging.limit] if one.graph]
        read = read_datasets(engine, view.snapshot, some)
        if read.answer.missing and not partial_answers:
            return _unavailable(f"offerings may be missing: no answer from {', '.join(read.answer.missing)}")
        response = in_json(dsp.catalogue_message(base_address(url), read.found))
        # The protocol calls the page before by another name than RFC 8288.
        links = {name: at for name, at in paging.links(len(listed)).items() if name in ("next", "prev")}
        if links:
            response.headers["Link"] = link_header(links).replace('rel="prev"', 'rel="previous"')
        return with_completeness(read.answer, response)

    @blueprint.get("/catalog/datasets/<path:identifier>", merge_slashes=False)
    def dataset(identifier: str) -> flask.Response:
        """Answer with one dataset, by its IRI or its address on the ledger."""
        graph = view.graph_of(identifier)
        listed = [one for one in view.offerings() if graph and one.graph == graph]
        asked = identifier[:300]
        if not listed:
            return _failed(HTTPStatus.NOT_FOUND, f"there is no dataset {asked}")
        read = read_datasets(engine, view.snapshot, listed[:1])
        # A connector takes 404 for withdrawn.
        if read.answer.missing:
            silent = ", ".join(read.answer.missing)
            return _unavailable(f"no node that holds {asked} answers: {silent}")
        if view.snapshot().source_of.get(graph or "") is None:
            return _unavailable(f"no node holds {asked} yet; ask again soon")
        message = dsp.dataset_message(read.found[0]) if read.found else None
        if message is None:
            return _failed(
                HTTPStatus.NOT_FOUND,
                f"{asked} has no contract that this protocol can express, or no way to its data; GET /catalog has it in DCAT",
            )
        return with_completeness(read.answer, in_json({"@context": [dsp.CONTEXT], **message}))

    @blueprint.get("/.well-known/dspace-version")
    def versions() -> flask.Response:
        """Answer with the version of the protocol."""
        return revalidated(in_json(dsp.VERSIONS), flask.request)

    @blueprint.errorhandler(FederationError)
    def failed(error: FederationError) -> flask.Response:
        return _as_error(of_error(error))

    return blueprint


def _unavailable(reason: str) -> flask.Response:
    return _as_error(problem(HTTPStatus.SERVICE_UNAVAILABLE, reason))


def _failed(status: HTTPStatus, reason: str) -> flask.Response:
    response = in_json(dsp.error_message(status, reason))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def _as_error(document: flask.Response) -> flask.Response:
    """Say in the words of the protocol what a problem document says."""
    told = msgspec.json.decode(document.get_data())
    response = _failed(HTTPStatus(document.status_code), told["detail"])
    if "Retry-After" in document.headers:
        response.headers["Retry-After"] = document.headers["Retry-After"]
    return response
