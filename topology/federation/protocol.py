"""The SPARQL 1.1 Protocol (https://www.w3.org/TR/sparql11-protocol/) as a part of a Flask application."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

import flask
import msgspec
import pyoxigraph

from topology.federation.engine import Answer, Engine
from topology.federation.errors import (
    FederationError,
    NotAcceptable,
    QueryRefused,
    QuerySyntaxError,
    QueryTimeout,
    SourceFailed,
    TooLarge,
    UpdateRefused,
)
from topology.federation.forms import Parameters, read_form, read_text
from topology.federation.sources import Snapshot

PATHS = ("/sparql", "/catalogue/sparql")
COMPLETENESS = "Catena-Completeness"


class _RequestTooLarge(FederationError):
    """The request's body is larger than is read."""


class _UnsupportedMediaType(FederationError):
    """The request's body is of a kind that the protocol does not know."""


# The first class that an error is an instance of counts.
_STATUSES = (
    (QuerySyntaxError, HTTPStatus.BAD_REQUEST),
    (UpdateRefused, HTTPStatus.BAD_REQUEST),
    (_RequestTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (_UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (TooLarge, HTTPStatus.UNPROCESSABLE_ENTITY),
    (QueryRefused, HTTPStatus.FORBIDDEN),
    (NotAcceptable, HTTPStatus.NOT_ACCEPTABLE),
    (SourceFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (QueryTimeout, HTTPStatus.GATEWAY_TIMEOUT),
    (FederationError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
_DESCRIPTION = """
@prefix sd: <http://www.w3.org/ns/sparql-service-description#> .
@prefix formats: <http://www.w3.org/ns/formats/> .

[] a sd:Service ;
    sd:endpoint {endpoint} ;
    sd:supportedLanguage sd:SPARQL11Query ;
    sd:resultFormat formats:SPARQL_Results_JSON, formats:SPARQL_Results_XML, formats:SPARQL_Results_CSV,
        formats:SPARQL_Results_TSV, formats:Turtle, formats:N-Triples, formats:JSON-LD, formats:RDF_XML ;
    {feature}sd:defaultDataset [ a sd:Dataset ; sd:defaultGraph [ a sd:Graph ] ] .
"""


def sparql_blueprint(
    engine: Engine,
    snapshot_for: Callable[[frozenset[str]], Snapshot],
    *,
    max_request_bytes: int = 1024 * 1024,
    partial_answers: bool = True,
) -> flask.Blueprint:
    """Endpoints that answer queries, at ``PATHS``.

    Every answer tells in the header ``Catena-Completeness`` whether it is ``complete``, or ``partial; missing=<nodes>``. Errors
    are answered as RFC 9457 problem details, in JSON.

    Args:
        engine: Answers the queries.
        snapshot_for: See ``Engine.query_with_failover``.
        max_request_bytes: The largest request body that is read.
        partial_answers: Whether to answer when graphs may be missing; if not, the status is 503.
    """
    blueprint = flask.Blueprint("sparql", __name__)

    def sparql() -> flask.Response:
        readings = _readings(flask.request, max_request_bytes)
        if any(reading.is_update for reading in readings):
            raise UpdateRefused("this is a query endpoint: updates go to the ledger, not here")
        if readings[0].query is None:
            if flask.request.method == "POST" or flask.request.args:
                raise QuerySyntaxError("there is no query parameter")
            return _description(engine)
        reading = _first_valid(engine, readings)
        answer = engine.query_with_failover(
            reading.query or "",
            snapshot_for,
            default_graphs=reading.default_graphs,
            named_graphs=reading.named_graphs,
            accept=flask.request.headers.get("Accept", ""),
        )
        if answer.missing and not partial_answers:
            raise SourceFailed(f"graphs may be missing: no answer from {', '.join(answer.missing)}", answer.missing)
        return _response(answer)

    @blueprint.after_request
    def allow_other_origins(response: flask.Response) -> flask.Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = COMPLETENESS
        if flask.request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = "Accept, Authorization, Cache-Control, Content-Type"
            response.headers["Access-Control-Max-Age"] = "86400"
        return response

    blueprint.register_error_handler(FederationError, _problem)
    for path in PATHS:
        blueprint.add_url_rule(path, view_func=sparql, methods=["GET", "POST"])
    return blueprint


def _readings(request: flask.Request, max_bytes: int) -> list[Parameters]:
    """The ways to read a request, the likeliest first; there is at least one."""
    if request.method != "POST":
        return read_form(request.query_string)
    body = _body(request, max_bytes)
    if request.mimetype == "application/sparql-query":
        return [read_form(request.query_string)[0]._replace(query=read_text(body))]
    if request.mimetype == "application/sparql-update":
        raise UpdateRefused("this is a query endpoint: updates go to the ledger, not here")
    if request.mimetype == "application/x-www-form-urlencoded" or body.startswith(b"query="):
        return read_form(body)
    raise _UnsupportedMediaType("send application/x-www-form-urlencoded or application/sparql-query")


def _body(request: flask.Request, max_bytes: int) -> bytes:
    body = bytearray()
    if (request.content_length or 0) <= max_bytes:
        while len(body) <= max_bytes and (part := request.stream.read(max_bytes + 1 - len(body))):
            body += part
        if len(body) <= max_bytes:
            return bytes(body)
    raise _RequestTooLarge(f"the request has more than the {max_bytes} bytes that are read")


def _first_valid(engine: Engine, readings: list[Parameters]) -> Parameters:
    """The first reading that has a query. When there is none, the likeliest one has the error that helps."""
    errors: list[QuerySyntaxError] = []
    for reading in readings:
        try:
            engine.plan(reading.query or "")
        except QuerySyntaxError as error:
            errors.append(error)
        else:
            return reading
    raise errors[0]


def _response(answer: Answer) -> flask.Response:
    content_type = answer.content_type
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    response = flask.Response(answer.body, content_type=content_type)
    missing = ",".join(quote(node, safe=":/") for node in answer.missing)
    response.headers[COMPLETENESS] = f"partial; missing={missing}" if missing else "complete"
    response.headers["Vary"] = "Accept"
    return response


def _description(engine: Engine) -> flask.Response:
    """What this service is, for machines (https://www.w3.org/TR/sparql11-service-description/)."""
    endpoint = str(pyoxigraph.NamedNode(flask.request.base_url))
    feature = "sd:feature sd:UnionDefaultGraph ;\n    " if engine.union_default_graph else ""
    turtle = _DESCRIPTION.format(endpoint=endpoint, feature=feature).lstrip()
    return flask.Response(turtle, content_type="text/turtle; charset=utf-8")


def _problem(error: FederationError) -> flask.Response:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    problem: dict[str, object] = {"title": status.phrase, "status": status.value, "detail": str(error)}
    if isinstance(error, QuerySyntaxError) and error.line:
        problem |= {"line": error.line, "column": error.column}
    response = flask.Response(
        msgspec.json.encode(problem), status=status.value, content_type="application/problem+json"
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "5"
    return response
