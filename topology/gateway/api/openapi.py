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
from federation.protocol import graph_store, problems
from federation.protocol.explain import Explanation
from federation.protocol.negotiation import GRAPH_NAMES, GRAPHS, SOLUTION_NAMES, SOLUTIONS
from federation.protocol.sparql import COMPLETENESS, PATHS
from topology.gateway.api.browsers import FOR_BROWSERS
from topology.gateway.api.schemas import (
    DEFAULT_LIMIT,
    Count,
    Health,
    Limit,
    NodeList,
    OfferingPage,
    OfferingRequest,
    Overview,
    Problem,
)
from topology.gateway.api.search import FACETS
from topology.gateway.offering_list import ListedOffering

Json = dict[str, Any]

_STRING: Json = {"type": "string"}
_IRIS: Json = {"type": "array", "items": {"type": "string", "format": "iri"}}
_JSON = "application/json"
_GRAPH_MEDIA_TYPES = tuple(GRAPHS)
_RESULT_MEDIA_TYPES = tuple(dict.fromkeys([*SOLUTIONS, *GRAPHS, "text/plain"]))
_FORMATS = ("format", "output", "results")
_GUARDED = (401, 429)
_ALWAYS_OPEN = ("/", "/health", "/openapi.json", "/robots.txt", "/.well-known/dspace-version")
_IDENTIFIER: Json = {
    "name": "identifier",
    "in": "path",
    "required": True,
    "description": "The address on the ledger, or the IRI, percent-encoded.",
    "schema": _STRING,
}
_FRESH = "With Cache-Control: no-cache in the request, no cache is used."
_SCHEMA_PATH = "#/components/schemas/{name}"
# An attribute in a docstring: its name, and a description that may go on in indented lines.
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8}.*)*)", re.MULTILINE)
_BODIES = (OfferingPage, OfferingRequest, NodeList, Health, Overview, Problem, Explanation)


@cache
def describe() -> Json:
    """Return the document, which callers must not change."""
    paths = _paths()
    for path in _ALWAYS_OPEN:
        del paths[path]["get"]["responses"]["401"]
    paths["/nodes"]["get"]["responses"] |= _problems(403, 404)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catena gateway",
            "version": __version__,
            "description": "SPARQL over all catalogue nodes as if they were one store, and the offerings on them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": _responses(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key, or a token of the operator's issuer.",
                },
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key."},
                "password": {"type": "http", "scheme": "basic", "description": "A key as password, with any user."},
            },
        },
        # Operators choose the parts that need a key; none does by default.
        "security": [{}, {"bearer": []}, {"key": []}, {"password": []}],
    }


def _paths() -> Json:
    return {
        **{path: _sparql(path) for path in PATHS},
        **{path: {"get": _read_graph(path)} for path in graph_store.PATHS},
        "/offerings": {"get": _list_offerings(), "post": _read_offering()},
        "/offerings/{identifier}": {"get": _one_offering()},
        "/catalog": {"get": _catalogue()},
        "/catalog/request": {"post": _dataspace_catalogue()},
        "/catalog/datasets/{identifier}": {"get": _dataspace_dataset()},
        "/.well-known/dspace-version": {
            "get": _json_answer("dataspaceVersions", "The version of the Dataspace Protocol", {"type": "object"})
        },
        "/sitemap.xml": {"get": _sitemap()},
        "/robots.txt": {"get": _document("robots", "What robots should leave alone", "text/plain")},
        "/nodes": {"get": _json_answer("listNodes", "The catalogue nodes and what is on them", _reference(NodeList))},
        "/health": {"get": _health()},
        "/overview": {"get": _overview()},
        "/openapi.json": {"get": _json_answer("openapi", "This document", {"type": "object"})},
        "/": {
            "get": _json_answer(
                "index",
                "What there is to ask for",
                {"type": "object", "additionalProperties": _STRING},
                "Link",
            )
        },
    }


def _sparql(path: str) -> Json:
    number = 2 if path.startswith("/catalogue") else ""
    answers = {
        "200": {
            "description": "The result; or, with explain, what was done for it; or, without a query, the description of the "
            "service (https://www.w3.org/TR/sparql11-service-description/). A large result comes in chunks, without an ETag: "
            "where the connection ends without the last chunk, it is not whole. Accept-Encoding: gzip compresses it.",
            "headers": _referred("headers", COMPLETENESS, "ETag", "Cache-Control"),
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
    protocol = _referred("parameters", "default-graph-uri", "named-graph-uri", *_FORMATS, "explain", "timeout")
    fields = _parameters()
    return {
        "get": {
            "operationId": f"query{number}",
            "summary": "A query, or without one the description of the service",
            "description": f"SPARQL 1.1 Protocol, query via GET. {_FRESH}",
            "parameters": [{"$ref": "#/components/parameters/query"}, *protocol.values()],
            "responses": {**answers, "304": _not_modified(COMPLETENESS), **_problems(412)},
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
                                if field["in"] == "query" and name not in ("state", "id", "limit", "offset")
                            },
                        }
                    },
                },
            },
            "responses": {**answers, **_problems(413, 415)},
        },
    }


def _read_graph(path: str) -> Json:
    number = 2 if path.startswith("/catalogue") else ""
    return {
        "operationId": f"readGraph{number}",
        "summary": "One graph",
        "description": f"SPARQL 1.1 Graph Store HTTP Protocol, GET. {_FRESH}",
        "parameters": list(_referred("parameters", "graph", "default", *_FORMATS, "timeout").values()),
        "responses": {
            "200": {
                "description": "The triples of the graph.",
                "headers": _referred("headers", COMPLETENESS, "ETag", "Cache-Control"),
                "content": _text_in(_GRAPH_MEDIA_TYPES),
            },
            "304": _not_modified(COMPLETENESS),
            **_problems(400, 404, 405, 406, 412, 422, 500, 502, 503, 504),
        },
    }


def _list_offerings() -> Json:
    summary = "Which offerings there are, page by page, sorted by graph"
    operation = _json_answer("listOfferings", summary, _reference(OfferingPage), "Link")
    operation["description"] = (
        "A client that asks for a format of graphs gets these offerings as GET /catalog has them."
    )
    answer = operation["responses"]["200"]
    answer["headers"][COMPLETENESS] = _referred("headers", COMPLETENESS)[COMPLETENESS]
    answer["content"] |= _text_in(kind for kind in _GRAPH_MEDIA_TYPES if kind != _JSON)
    operation["parameters"] = list(_referred("parameters", "q", *FACETS, "state", "id", "limit", "offset").values())
    operation["responses"] |= _problems(400, 422, 502, 503, 504)
    return operation


def _one_offering() -> Json:
    operation = _json_answer("getOffering", "One offering", _reference(ListedOffering))
    operation["description"] = (
        "By its address on the ledger, or its IRI, percent-encoded: its state in JSON; its description in a format of graphs, "
        "where Accept likes one better than JSON; a page for browsers, with status 404 where there is none."
    )
    operation["parameters"] = [_IDENTIFIER]
    answer = operation["responses"]["200"]
    answer["headers"][COMPLETENESS] = _referred("headers", COMPLETENESS)[COMPLETENESS]
    answer["content"] |= _text_in(kind for kind in _GRAPH_MEDIA_TYPES if kind != _JSON)
    answer["content"] |= _text_in(["text/html"])
    operation["responses"] |= _problems(404, 406, 409, 422, 502, 503, 504)
    return operation


def _catalogue() -> Json:
    return {
        "operationId": "catalogue",
        "summary": "All offerings as a catalogue, page by page, sorted by graph",
        "description": "DCAT-AP 3 (https://semiceu.github.io/DCAT-AP/releases/3.0.0/); a page is a hydra:PagedCollection. "
        + _FRESH,
        "parameters": list(_referred("parameters", "limit", "offset", "format").values()),
        "responses": {
            "200": {
                "description": "A page.",
                "headers": _referred("headers", COMPLETENESS, "ETag", "Cache-Control", "Link"),
                "content": _text_in(_GRAPH_MEDIA_TYPES),
            },
            "304": _not_modified(COMPLETENESS, "Link"),
            **_problems(400, 405, 406, 412, 422, 500, 502, 503, 504),
        },
    }


def _dataspace_catalogue() -> Json:
    operation = _dataspace("dataspaceCatalogue", "The catalogue by the Dataspace Protocol 2025-1", "Link")
    operation["parameters"] = list(_referred("parameters", "limit", "offset").values())
    operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": {"type": "object"}}}}
    return operation


def _dataspace_dataset() -> Json:
    operation = _dataspace("dataspaceDataset", "One dataset by the Dataspace Protocol 2025-1", "ETag")
    operation["parameters"] = [_IDENTIFIER]
    operation["responses"]["304"] = _not_modified(COMPLETENESS)
    operation["responses"] |= _problems(412)
    return operation


def _dataspace(name: str, summary: str, *headers: str) -> Json:
    message = {_JSON: {"schema": {"type": "object"}}}
    failed = {"description": "A CatalogError.", "headers": _referred("headers", "Cache-Control"), "content": message}
    busy = {**failed, "headers": _referred("headers", "Cache-Control", "Retry-After")}
    return {
        "operationId": name,
        "summary": summary,
        "description": "https://w3id.org/dspace/2025/1/; without the offerings that the protocol has no words for.",
        "responses": {
            "200": {
                "description": "The message.",
                "headers": _referred("headers", COMPLETENESS, "Cache-Control", *headers),
                "content": message,
            },
            **{str(status): failed for status in (400, 404, 413, 415, 422, 502, 504)},
            "503": busy,
            **_problems(405, 500),
        },
    }


def _sitemap() -> Json:
    operation = _document("sitemap", "The addresses of all offerings' pages, for search engines", "application/xml")
    operation["parameters"] = list(_referred("parameters", "page").values())
    operation["responses"] |= _problems(400)
    return operation


def _document(name: str, summary: str, media_type: str) -> Json:
    operation = _json_answer(name, summary, {})
    operation["responses"]["200"]["content"] = _text_in([media_type])
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
                "headers": _referred("headers", COMPLETENESS, "Cache-Control"),
                "content": _text_in(_GRAPH_MEDIA_TYPES),
            },
            **_problems(400, 404, 405, 406, 409, 413, 415, 422, 500, 502, 503, 504),
        },
    }


def _health() -> Json:
    operation = _json_answer("health", "How the gateway and its nodes are", _reference(Health))
    del operation["responses"]["304"], operation["responses"]["412"], operation["responses"]["200"]["headers"]["ETag"]
    return operation


def _overview() -> Json:
    operation = _json_answer("overview", "The state of the catalogue at a glance", _reference(Overview))
    operation["description"] = (
        "A client that asks for text/event-stream gets it after each change, as server-sent events, for five minutes; at most "
        "eight clients do at the same time."
    )
    answer = operation["responses"]["200"]
    answer["headers"] |= {"X-Accel-Buffering": {"$ref": "#/components/headers/X-Accel-Buffering"}}
    answer["content"] |= _text_in(["text/event-stream"])
    operation["responses"] |= _problems(503)
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
    names = (*names, "Vary", *FOR_BROWSERS) if kind == "headers" else names
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _problems(*statuses: int) -> Json:
    """Refer to problems, those of every guarded operation as well."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted({*statuses, *_GUARDED})}


def _parameters() -> Json:
    names = ", ".join(dict.fromkeys([*SOLUTION_NAMES, *GRAPH_NAMES]))
    named = {
        "query": ("A SPARQL 1.1 query.", _STRING),
        "default-graph-uri": ("IRIs of the graphs whose union is the default graph.", _IRIS),
        "named-graph-uri": ("IRIs of the graphs that GRAPH can reach.", _IRIS),
        "format": (f"The format of the result, in place of Accept: {names}, or a media type.", _STRING),
        "output": ("The same as format.", _STRING),
        "results": ("The same as format.", _STRING),
        "timeout": (
            "Seconds after which to give up, such as 2.5, or 1500ms, at least one; the gateway has a limit of its own.",
            _STRING,
        ),
        "graph": ("The IRI of a named graph.", {"type": "string", "format": "iri"}),
        "default": ("The default graph: all named graphs as one.", {"type": "string", "enum": [""]}),
        "explain": (
            "What was done for the query, in place of its result: text, json, or 1 for what Accept likes better.",
            {"type": "string", "enum": ["text", "json", "1", "true", "yes", "0", "false", "no", ""]},
        ),
        "q": ("Words, all of which stand in a description, an IRI or an address, in upper or lower case.", _STRING),
        **{
            name: (f"The {name} of the offerings to list: an IRI, the last part of one, a label, or a text.", _STRING)
            for name in FACETS
        },
        "state": (
            "The states of the offerings to list, with commas between them, or all. Without it, those that stand: placed, "
            "stale, and waiting for a node.",
            {"type": "string", "example": "failing,stale"},
        ),
        "id": ("The address on the ledger, or the IRI, of the one to list, in any state.", _STRING),
        "limit": (
            "How many a page has.",
            {**msgspec.json.schema(Limit), "default": DEFAULT_LIMIT},
        ),
        "offset": ("How many come before.", {**msgspec.json.schema(Count), "default": 0}),
        "page": ("The number of a part of it, from 0, where it has several.", msgspec.json.schema(Count)),
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
        "X-Accel-Buffering": "no, for events: proxies should pass each on at once.",
        "WWW-Authenticate": "The ways to send a key.",
        "Allow": "The methods that there are.",
        "Accept": "The media types that are read.",
        "Accept-Encoding": "The codings of bodies that are read.",
        "X-Content-Type-Options": "nosniff: the content is of the type that is named, whatever it looks like.",
        "Content-Security-Policy": "What a browser may load for it: nothing, where it is data.",
    }
    return {name: {"description": description, "schema": _STRING} for name, description in named.items()}


def _responses() -> Json:
    why = {
        400: "It is no SPARQL 1.1 query, it is an update, or a parameter is wrong; line and column say where.",
        401: "This part of the gateway needs a key, and the request has none that is known.",
        403: "The query is understood, and not answered: for instance, it would call other servers. Or the key does not "
        "open this part.",
        404: "Nothing is known by that name; or it is on the admin port.",
        405: "There is no such method.",
        406: "The result cannot be had in the format asked for; the detail says in which it can.",
        409: "Another address, which stands first in the ledger's listing, owns the graph.",
        412: "This is not what If-Match names.",
        413: "The body is larger than is read.",
        415: "The body is of a media type, or in a coding, that is not read.",
        422: "Answering takes more data, memory or depth than one query may use.",
        429: "This client sends too many requests.",
        500: "Something is wrong with the gateway.",
        502: "Nodes answer with something else than they were asked for, or a server that the query calls by SERVICE failed.",
        503: "Nodes that hold a part of the answer do not give it; try again.",
        504: "It took too long; the detail says what was waited for.",
    }
    headers = {
        401: ["WWW-Authenticate"],
        405: ["Allow"],
        415: ["Accept", "Accept-Encoding"],
        429: ["Retry-After"],
        503: ["Retry-After"],
    }
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
