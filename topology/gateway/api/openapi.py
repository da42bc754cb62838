"""The OpenAPI 3.1 document of the gateway (https://spec.openapis.org/oas/v3.1.0).

The schemas of JSON bodies are derived from the types that the gateway serves, and their descriptions from the docstrings of
these types.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from catena_core.version import __version__
from federation.protocol import problems
from federation.protocol.explain import Explanation
from federation.protocol.negotiation import GRAPH_NAMES, GRAPHS, SOLUTION_NAMES, SOLUTIONS
from federation.protocol.sparql import COMPLETENESS, PATHS
from topology.gateway.api.schemas import (
    DEFAULT_LIMIT,
    Count,
    Health,
    Limit,
    NodeList,
    OfferingPage,
    OfferingRequest,
    Problem,
)

Json = dict[str, Any]

_STRING: Json = {"type": "string"}
_IRIS: Json = {"type": "array", "items": {"type": "string", "format": "iri"}}
_JSON = "application/json"
_GRAPH_MEDIA_TYPES = tuple(GRAPHS)
_RESULT_MEDIA_TYPES = tuple(dict.fromkeys([*SOLUTIONS, *GRAPHS, "text/plain"]))
_FRESH = "With Cache-Control: no-cache in the request, no cache is used."
_SCHEMA_PATH = "#/components/schemas/{name}"
# An attribute in a docstring: its name, and a description that may go on in indented lines.
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8}.*)*)", re.MULTILINE)
_BODIES = (OfferingPage, OfferingRequest, NodeList, Health, Problem, Explanation)


@cache
def describe() -> Json:
    """Return the document, which callers must not change."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catena gateway",
            "version": __version__,
            "description": "SPARQL over all catalogue nodes as if they were one store, and the offerings on them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            **{path: _sparql(path) for path in PATHS},
            "/offerings": {"get": _list_offerings(), "post": _read_offering()},
            "/nodes": {
                "get": _json_answer("listNodes", "The catalogue nodes and what is on them", _reference(NodeList))
            },
            "/health": {"get": _health()},
            "/openapi.json": {"get": _json_answer("openapi", "This document", {"type": "object"})},
            "/": {
                "get": _json_answer(
                    "index", "What there is to ask for", {"type": "object", "additionalProperties": _STRING}, "Link"
                )
            },
        },
        "components": {
            "schemas": _schemas(),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": _responses(),
        },
    }


def _sparql(path: str) -> Json:
    number = 2 if path.startswith("/catalogue") else ""
    answers = {
        "200": {
            "description": "The result; or, with explain, what was done for it; or, without a query, the description of the "
            "service (https://www.w3.org/TR/sparql11-service-description/).",
            "headers": _referred("headers", COMPLETENESS, "ETag", "Cache-Control", "Vary"),
            "content": {
                **_text_in(_RESULT_MEDIA_TYPES),
                _JSON: {
                    "schema": {
                        "description": "SPARQL results, JSON-LD where the result is a graph, or an explanation.",
                        "anyOf": [{"type": ["object", "array"]}, _reference(Explanation)],
                    }
                },
            },
        },
        **_problems(400, 403, 405, 406, 422, 500, 502, 503, 504),
    }
    protocol = _referred("parameters", "default-graph-uri", "named-graph-uri", "format", "output", "explain")
    fields = _parameters()
    return {
        "get": {
            "operationId": f"query{number}",
            "summary": "A query, or without one the description of the service",
            "description": f"SPARQL 1.1 Protocol, query via GET. {_FRESH}",
            "parameters": [{"$ref": "#/components/parameters/query"}, *protocol.values()],
            "responses": {**answers, "304": _not_modified(COMPLETENESS, "Vary"), **_problems(412)},
        },
        "post": {
            "operationId": f"queryByPost{number}",
            "summary": "A query in the body",
            "description": f"SPARQL 1.1 Protocol, query via POST. {_FRESH}",
            "parameters": list(protocol.values()),
            "requestBody": {
                "required": True,
                "content": {
                    "application/sparql-query": {"schema": _STRING, "example": "ASK { ?s ?p ?o }"},
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "required": ["query"],
                            "properties": {
                                name: field["schema"]
                                for name, field in fields.items()
                                if field["in"] == "query" and name not in ("limit", "offset")
                            },
                        }
                    },
                },
            },
            "responses": {**answers, **_problems(413, 415)},
        },
    }


def _list_offerings() -> Json:
    summary = "Which offerings there are, page by page, sorted by graph"
    operation = _json_answer("listOfferings", summary, _reference(OfferingPage), "Link")
    operation["parameters"] = list(_referred("parameters", "limit", "offset").values())
    operation["responses"] |= _problems(400)
    return operation


def _read_offering() -> Json:
    return {
        "operationId": "readOffering",
        "summary": "The description of one offering",
        "requestBody": {"required": True, "content": {_JSON: {"schema": _reference(OfferingRequest)}}},
        "responses": {
            "200": {
                "description": "Its graph; in JSON-LD unless another format is asked for.",
                "headers": _referred("headers", COMPLETENESS, "Cache-Control", "Vary"),
                "content": _text_in(_GRAPH_MEDIA_TYPES),
            },
            **_problems(400, 404, 405, 406, 413, 422, 500, 503, 504),
        },
    }


def _health() -> Json:
    operation = _json_answer("health", "How the gateway and its nodes are", _reference(Health))
    del operation["responses"]["304"], operation["responses"]["412"], operation["responses"]["200"]["headers"]["ETag"]
    return operation


def _json_answer(name: str, summary: str, schema: Json, *headers: str) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {
                "description": f"{summary}.",
                "headers": _referred("headers", "ETag", "Cache-Control", *headers),
                "content": {_JSON: {"schema": schema}},
            },
            "304": _not_modified(*headers),
            **_problems(405, 412, 500),
        },
    }


def _not_modified(*headers: str) -> Json:
    return {
        "description": "The client has the answer already.",
        "headers": _referred("headers", "ETag", "Cache-Control", *headers),
    }


def _text_in(media_types: Iterable[str]) -> Json:
    return {media_type: {"schema": _STRING} for media_type in media_types}


def _referred(kind: str, *names: str) -> Json:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _problems(*statuses: int) -> Json:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _parameters() -> Json:
    names = ", ".join(dict.fromkeys([*SOLUTION_NAMES, *GRAPH_NAMES]))
    named = {
        "query": ("A SPARQL 1.1 query.", _STRING),
        "default-graph-uri": ("IRIs of the graphs whose union is the default graph.", _IRIS),
        "named-graph-uri": ("IRIs of the graphs that GRAPH can reach.", _IRIS),
        "format": (f"The format of the result, in place of Accept: {names}, or a media type.", _STRING),
        "output": ("The same as format.", _STRING),
        "explain": (
            "What was done for the query, in place of its result: text, json, or 1 for what Accept likes better.",
            {"type": "string", "enum": ["text", "json", "1", "true", "yes", "0", "false", "no", ""]},
        ),
        "limit": (
            "How many a page has.",
            {**msgspec.json.schema(Limit), "default": DEFAULT_LIMIT},
        ),
        "offset": ("How many come before.", {**msgspec.json.schema(Count), "default": 0}),
    }
    return {
        name: {"name": name, "in": "query", "description": description, "schema": schema}
        for name, (description, schema) in named.items()
    }


def _headers() -> Json:
    named = {
        COMPLETENESS: "complete; or partial; missing=<ids of nodes, with commas between them, percent-encoded>, when graphs "
        "may be missing.",
        "ETag": "Changes with the answer.",
        "Cache-Control": "Whether the answer may be kept. What is kept has to be asked for again, with If-None-Match.",
        "Vary": "The headers of the request that the answer depends on.",
        "Link": "What goes with it (RFC 8288): other pages as first, prev, next, last; this document as service-desc.",
        "Retry-After": "Seconds after which to try again.",
        "Allow": "The methods that there are.",
        "Accept": "The media types that are read.",
    }
    return {name: {"description": description, "schema": _STRING} for name, description in named.items()}


def _responses() -> Json:
    why = {
        400: "It is no SPARQL 1.1 query, it is an update, or a parameter is wrong; line and column say where.",
        403: "The query is understood, and not answered: for instance, it would call other servers.",
        404: "Nothing is known by that name.",
        405: "There is no such method.",
        406: "The result cannot be had in the format asked for; the detail says in which it can.",
        412: "This is not what If-Match names.",
        413: "The body is larger than is read.",
        415: "The body is of a media type that is not read.",
        422: "Answering takes more data, memory or depth than one query may use.",
        500: "Something is wrong with the gateway.",
        502: "Another server, which the query calls by SERVICE, failed.",
        503: "Nodes that hold a part of the answer do not give it; try again.",
        504: "It took too long; the detail says what was waited for.",
    }
    headers = {405: ["Allow"], 415: ["Accept"], 503: ["Retry-After"]}
    return {
        str(status): {
            "description": description,
            "headers": _referred("headers", "Cache-Control", *headers.get(status, [])),
            "content": {problems.CONTENT_TYPE: {"schema": _reference(Problem)}},
        }
        for status, description in why.items()
    }


def _reference(body: type) -> Json:
    return {"$ref": _SCHEMA_PATH.format(name=body.__name__)}


def _schemas() -> Json:
    """Derive the schemas of the JSON bodies."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template=_SCHEMA_PATH)
    for schema in schemas.values():
        summary, _, attributes = inspect.cleandoc(schema.get("description", "")).partition("\n\nAttributes:\n")
        schema["description"] = summary
        for name, description in _ATTRIBUTE.findall(attributes):
            schema["properties"][name]["description"] = " ".join(description.split())
    return schemas
