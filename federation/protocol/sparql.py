"""The SPARQL 1.1 Protocol (https://www.w3.org/TR/sparql11-protocol/) as a part of a Flask application."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

import flask
import msgspec

from federation.analysis.plan import Form
from federation.engine import Answer, Engine
from federation.errors import (
    FederationError,
    NotAcceptableError,
    QuerySyntaxError,
    SourceFailedError,
    UpdateRefusedError,
)
from federation.protocol import problems
from federation.protocol.bodies import read_body
from federation.protocol.etag import revalidated, wants_fresh
from federation.protocol.explain import Explanation, as_text, explanation
from federation.protocol.negotiation import Format, choose, choose_for_graph, media_type_named
from federation.protocol.parameters import Parameters, read_form, read_text
from federation.protocol.service_description import service_description
from federation.source_selection import Snapshot

PATHS = ("/sparql", "/catalogue/sparql")
COMPLETENESS = "Catena-Completeness"

_UPDATE_REFUSED = "this is a query endpoint: updates go to the ledger, not here"
_FORM = "application/x-www-form-urlencoded"
_FORMAT = {"format", "output", "results"}
_NOT_EXPLAINED = ("", "0", "false", "no")


def sparql_blueprint(
    engine: Engine,
    snapshot_for: Callable[[frozenset[str]], Snapshot],
    *,
    max_request_bytes: int = 1024 * 1024,
    partial_answers: bool = True,
    refresh: Callable[[], None] = lambda: None,
) -> flask.Blueprint:
    """Make endpoints that answer queries, at ``PATHS``.

    Every answer says in the header ``Catena-Completeness`` whether it is ``complete``, or ``partial; missing=<nodes>``. Errors
    are RFC 9457 problem details, in JSON.

    Besides the protocol's own parameters, ``format`` (``output``, ``results``) names the format of the answer in place of the
    Accept header; unknown names are passed over. ``timeout`` shortens the time for the answer, to a second at least.
    ``explain`` asks for an explanation in place of the result: ``text``, ``json``, or ``1`` for the one of the two that Accept
    prefers.

    A large answer comes in parts. Where it breaks off, their iterator raises ``FederationError``: the server then has to close
    the connection without a last chunk.

    For an application that counts queries, ``flask.g.query_form`` is the form of the query, once it is analysed, and
    ``flask.g.query_answer`` the answer.

    Args:
        engine: Answers the queries.
        snapshot_for: See ``Engine.answer``.
        max_request_bytes: The largest acceptable request body.
        partial_answers: Whether to answer when graphs may be missing; if not, the status is 503.
        refresh: Brings ``snapshot_for`` up to date before a query that bypasses all caches.
    """
    blueprint = flask.Blueprint("sparql", __name__)

    def sparql() -> flask.Response:
        request = flask.request
        start = time.perf_counter()
        given = _parameters(request, max_request_bytes)
        if given.is_update:
            raise UpdateRefusedError(_UPDATE_REFUSED)
        if given.query is None:
            if request.method == "POST" or not set(request.args) <= _FORMAT:
                raise QuerySyntaxError("there is no query parameter")
            return _described(engine, given.formats)
        explain = _explained_as(given.explain)
        query = engine.prepare(
            given.query,
            default_graphs=given.default_graphs,
            named_graphs=given.named_graphs,
            base=lambda: request.base_url,
            timeout=given.timeout,
            cancelled=request.environ.get("waitress.client_disconnected"),
        )
        flask.g.query_form = query.plan.form
        chosen = _format_for(query.plan.form, given.formats, explained=bool(explain))
        if fresh := wants_fresh(request):
            refresh()
        answer = flask.g.query_answer = engine.answer(
            query,
            snapshot_for,
            media_type=chosen.media_type,
            fresh=fresh,
            stream=takes_parts(request) and not explain,
        )
        if answer.missing and not partial_answers:
            answer.close()
            raise SourceFailedError(
                f"graphs may be missing: no answer from {', '.join(answer.missing)}", answer.missing
            )
        if explain:
            told = explanation(answer, time.perf_counter() - start, chosen.content_type)
            return with_completeness(answer, _explained(told, explain))
        return response_with(answer, chosen.content_type)

    blueprint.register_error_handler(FederationError, problems.of_error)
    for path in PATHS:
        blueprint.add_url_rule(path, view_func=sparql, methods=["GET", "POST"])
    return blueprint


def takes_parts(request: flask.Request) -> bool:
    """Return whether a client can tell the end of an answer from its breaking off: one that speaks HTTP/1.0 cannot."""
    return request.environ.get("SERVER_PROTOCOL") != "HTTP/1.0"


def response_with(answer: Answer, content_type: str) -> flask.Response:
    """Make the response with an answer; the parts of a large one are sent as they come.

    Args:
        answer: The answer.
        content_type: Its media type.
    """
    response = flask.Response(answer.parts() if answer.rest else answer.body, content_type=with_charset(content_type))
    response.call_on_close(answer.close)
    return with_completeness(answer, response)


def with_completeness(answer: Answer, response: flask.Response) -> flask.Response:
    """Add the headers that depend on an answer: whether it is complete, and for how long clients may cache it."""
    missing = ",".join(quote(node, safe=":/") for node in answer.missing)
    response.headers[COMPLETENESS] = f"partial; missing={missing}" if missing else "complete"
    response.headers["Vary"] = "Accept"
    if missing:
        response.headers["Cache-Control"] = "no-store"
    return revalidated(response, flask.request)


def with_charset(media_type: str) -> str:
    """Add the charset UTF-8 to the media types that have a parameter for it."""
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _parameters(request: flask.Request, max_bytes: int) -> Parameters:
    """Read the parameters of a request, in its address and in its body."""
    address = read_form(request.query_string)
    if request.method != "POST":
        return address
    body = read_body(request, max_bytes)
    if request.mimetype == "application/sparql-query":
        if address.query is not None:
            raise QuerySyntaxError("there must be one query: it is in the address and in the body")
        return address._replace(query=read_text(body))
    if request.mimetype == "application/sparql-update":
        raise UpdateRefusedError(_UPDATE_REFUSED)
    # Web pages that post a string say that it is plain text.
    if request.mimetype == _FORM or (request.mimetype and body.startswith(b"query=")) or not body:
        return _both(address, read_form(body))
    raise problems.UnsupportedMediaTypeError("send application/x-www-form-urlencoded or application/sparql-query")


def _both(address: Parameters, form: Parameters) -> Parameters:
    """Join the parameters of a form and of its address, though the protocol wants them all in the form."""
    if address.query is not None:
        raise QuerySyntaxError("a query that is sent with POST has to be in the body, not in the address")
    return Parameters(
        form.query,
        address.default_graphs + form.default_graphs,
        address.named_graphs + form.named_graphs,
        address.is_update or form.is_update,
        form.formats + address.formats,
        form.explain or address.explain,
        form.timeout or address.timeout,
    )


def _format_for(form: Form, names: tuple[str, ...], *, explained: bool) -> Format:
    """Choose the format of an answer, by the parameters that name one or by the Accept header."""
    accept = media_type_named(form, names) or flask.request.headers.get("Accept", "")
    try:
        return choose(form, accept)
    except NotAcceptableError:
        if explained:  # the header is meant for the explanation
            return choose(form, "*/*")
        raise


def _explained_as(value: str) -> Literal["", "json", "text"]:
    value = value.strip().lower()
    if value in _NOT_EXPLAINED:
        return ""
    if value in ("1", "true", "yes"):
        best = flask.request.accept_mimetypes.best_match(("text/plain", "application/json"), "text/plain")
        return "json" if best == "application/json" else "text"
    if value == "json":
        return "json"
    if value == "text":
        return "text"
    raise QuerySyntaxError(f"explain is 1, text, json or 0, not {value[:100]!r}")


def _explained(told: Explanation, how: Literal["json", "text"]) -> flask.Response:
    if how == "json":
        response = flask.Response(msgspec.json.encode(told), content_type="application/json")
    else:
        response = flask.Response(as_text(told), content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"  # it explains this one request
    return response


def _described(engine: Engine, names: tuple[str, ...]) -> flask.Response:
    chosen = choose_for_graph(media_type_named("CONSTRUCT", names) or flask.request.headers.get("Accept", ""))
    body = service_description(
        flask.request.base_url,
        chosen,
        union_default_graph=engine.union_default_graph,
        calls_services=bool(engine.services),
    )
    response = flask.Response(body, content_type=with_charset(chosen.content_type))
    response.headers["Vary"] = "Accept"
    return revalidated(response, flask.request)
