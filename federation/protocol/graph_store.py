"""The reading side of the SPARQL 1.1 Graph Store HTTP Protocol (https://www.w3.org/TR/sparql11-http-rdf-update/)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urljoin

import flask
import pyoxigraph

from federation.engine import Engine
from federation.errors import FederationError, QuerySyntaxError, SourceFailedError
from federation.protocol import problems
from federation.protocol.etag import wants_fresh
from federation.protocol.negotiation import choose_for_graph, media_type_named
from federation.protocol.parameters import seconds
from federation.protocol.sparql import response_with, takes_parts
from federation.source_selection import Snapshot

PATHS = ("/data", "/catalogue/data")


def graph_store_blueprint(
    engine: Engine, snapshot_for: Callable[[frozenset[str]], Snapshot], *, partial_answers: bool = True
) -> flask.Blueprint:
    """Make endpoints that return graphs, at ``PATHS``: the one that ``graph`` names, or with ``default`` the default graph.

    Args:
        engine: Answers the queries for the graphs.
        snapshot_for: See ``Engine.answer``.
        partial_answers: Whether to answer when triples may be missing; if not, the status is 503.
    """
    blueprint = flask.Blueprint("graph_store", __name__)

    def graph() -> flask.Response:
        request = flask.request
        names = [name for name in ("format", "output", "results") if request.args.get(name)]
        accept = media_type_named("CONSTRUCT", [request.args[name] for name in names])
        chosen = choose_for_graph(accept or request.headers.get("Accept", ""))
        name = _name(request)
        where = f"GRAPH <{name}> {{ ?s ?p ?o }}" if name else "?s ?p ?o"
        answer = engine.query_with_failover(
            f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ {where} }}",
            snapshot_for,
            media_type=chosen.media_type,
            fresh=wants_fresh(request),
            stream=takes_parts(request),
            timeout=seconds(request.args.get("timeout", "")),
            cancelled=request.environ.get("waitress.client_disconnected"),
        )
        if answer.missing and not partial_answers:
            answer.close()
            raise SourceFailedError(
                f"triples may be missing: no answer from {', '.join(answer.missing)}", answer.missing
            )
        if name and not answer.missing and not answer.rest and _is_empty(answer.body, chosen.media_type):
            return problems.problem(HTTPStatus.NOT_FOUND, f"there is no graph <{name[:200]}>")
        return response_with(answer, chosen.content_type)

    blueprint.register_error_handler(FederationError, problems.of_error)
    for path in PATHS:
        blueprint.add_url_rule(path, view_func=graph, methods=["GET"])
    return blueprint


def _name(request: flask.Request) -> str:
    """Return the name of the wanted graph; empty: the default graph."""
    names = [name for name in request.args.getlist("graph") if name]
    if len(names) + ("default" in request.args) != 1:
        raise QuerySyntaxError("say which graph: ?graph=<IRI>, or ?default for all of them as one")
    if not names:
        return ""
    name = urljoin(request.base_url, names[0])
    try:
        return pyoxigraph.NamedNode(name).value
    except ValueError:
        raise QuerySyntaxError(f"{name[:200]!r} is not an IRI, so it names no graph") from None


def _is_empty(body: bytes, media_type: str) -> bool:
    """Return whether a serialised graph has no triples."""
    parsed = pyoxigraph.parse(body, pyoxigraph.RdfFormat.from_media_type(media_type))
    return next(iter(parsed), None) is None
