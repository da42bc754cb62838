"""The OpenAPI document says what the gateway does: neither more nor less, checked against real responses."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import Mock

import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from federation.protocol.negotiation import GRAPHS, SOLUTIONS
from sandbox.made_up_offerings import generate
from tests.helpers.gateway import Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.catalogue_link import now_in_milliseconds
from topology.gateway.api.openapi import describe
from topology.gateway.guarding.clients import Client
from topology.gateway.guarding.guard import Guard
from topology.gateway.harvesting import dsp
from topology.rdf.offering_graph import read_description

SELECT = {"query": "SELECT * { ?s ?p ?o }"}
DATASPACE_REQUEST = {"@context": [dsp.CONTEXT], "@type": "CatalogRequestMessage"}
CONSTRUCT = {"query": "CONSTRUCT WHERE { ?s ?p ?o }"}
NOT_ALWAYS = {"Accept", "Accept-Encoding", "ETag", "Catena-Completeness", "Retry-After", "Link", "X-Accel-Buffering"}
FOR_HTTP = {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Content-Length", "Content-Type", "Date"}

_Call = tuple[str, str, dict[str, Any], int]
CALLS: list[_Call] = [
    ("GET", "/", {}, 200),
    ("GET", "/health", {}, 200),
    *(
        call
        for path in ("/data", "/catalogue/data")
        for call in (
            ("GET", path, {"query_string": {"default": ""}}, 200),
            ("GET", path, {"query_string": {"graph": "urn:nowhere"}}, 404),
            ("GET", path, {}, 400),
            ("GET", path, {"query_string": {"default": ""}, "headers": {"Accept": "image/png"}}, 406),
            ("GET", path, {"query_string": {"default": ""}, "headers": {"If-None-Match": "*"}}, 304),
        )
    ),
    ("GET", "/offerings", {"headers": {"Accept": "text/turtle"}}, 200),
    ("GET", "/offerings", {"query_string": {"q": "note"}}, 200),
    ("GET", "/offerings", {"query_string": {"q": "a b c d e f g h i"}}, 400),
    ("GET", "/offerings/0xa", {}, 200),
    ("GET", "/offerings/0xa", {"headers": {"Accept": "text/turtle"}}, 200),
    ("GET", "/offerings/0xz", {}, 404),
    ("GET", "/offerings/0xb", {"headers": {"Accept": "text/turtle"}}, 503),
    ("GET", "/catalog", {}, 200),
    ("GET", "/catalog", {"query_string": {"limit": "1", "format": "jsonld"}}, 200),
    ("GET", "/catalog", {"query_string": {"limit": "0"}}, 400),
    ("GET", "/catalog", {"headers": {"Host": "a<b"}}, 400),
    ("GET", "/catalog", {"headers": {"Accept": "image/png"}}, 406),
    ("GET", "/catalog", {"headers": {"If-None-Match": "*"}}, 304),
    ("POST", "/catalog/request", {"json": DATASPACE_REQUEST}, 200),
    ("POST", "/catalog/request", {"json": {**DATASPACE_REQUEST, "filter": ["x"]}}, 400),
    ("POST", "/catalog/request", {"data": b"x" * 1_100_000}, 413),
    ("GET", "/catalog/datasets/0xc", {}, 200),
    ("GET", "/catalog/datasets/0xz", {}, 404),
    ("GET", "/.well-known/dspace-version", {}, 200),
    ("GET", "/sitemap.xml", {}, 200),
    ("GET", "/sitemap.xml", {"query_string": {"page": "x"}}, 400),
    ("GET", "/robots.txt", {}, 200),
    ("GET", "/nodes", {}, 200),
    ("GET", "/overview", {}, 200),
    ("GET", "/overview", {"headers": {"Accept": "text/event-stream"}}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/nodes", {"headers": {"If-Match": '"x"'}}, 412),
    ("GET", "/offerings", {}, 200),
    ("GET", "/offerings", {"query_string": {"limit": "1", "offset": "1"}}, 200),
    ("GET", "/offerings", {"query_string": {"limit": "x"}}, 400),
    ("POST", "/offerings", {"json": {"offerings_id": "0xa"}}, 200),
    ("POST", "/offerings", {"json": {"offerings_id": "0xz"}}, 404),
    ("POST", "/offerings", {"json": {}}, 400),
    ("POST", "/offerings", {"json": {"offerings_id": "0xa"}, "headers": {"Accept": "image/png"}}, 406),
    ("POST", "/offerings", {"data": b"x" * 1_100_000}, 413),
    ("POST", "/offerings", {"json": {"offerings_id": "0xb"}}, 503),
    *(
        call
        for path in ("/sparql", "/catalogue/sparql")
        for call in (
            ("GET", path, {}, 200),
            ("GET", path, {"query_string": SELECT}, 200),
            ("GET", path, {"query_string": SELECT, "headers": {"If-None-Match": "*"}}, 304),
            ("GET", path, {"query_string": SELECT, "headers": {"If-Match": '"x"'}}, 412),
            ("GET", path, {"query_string": {**SELECT, "explain": "json"}}, 200),
            ("GET", path, {"query_string": {**SELECT, "explain": "text"}}, 200),
            ("GET", path, {"query_string": {"query": "SELECT"}}, 400),
            ("GET", path, {"query_string": {"query": "ASK { SERVICE <http://127.0.0.1/> {} }"}}, 403),
            ("GET", path, {"query_string": SELECT, "headers": {"Accept": "image/png"}}, 406),
            ("POST", path, {"data": SELECT}, 200),
            ("POST", path, {"data": b"DROP ALL", "content_type": "application/sparql-update"}, 400),
            ("POST", path, {"data": b"x" * 1_100_000}, 413),
            ("POST", path, {"data": SELECT, "headers": {"Content-Encoding": "gzip"}}, 415),
            ("POST", path, {"data": b"x"}, 415),
            (
                "POST",
                path,
                {"data": "query=" + "".join("(" * 200_000), "content_type": "application/x-www-form-urlencoded"},
                400,
            ),
        )
    ),
    *(
        ("GET", "/sparql", {"query_string": query, "headers": {"Accept": accept}}, 200)
        for query, formats in ((SELECT, SOLUTIONS), (CONSTRUCT, GRAPHS))
        for accept in formats
        if not (query is CONSTRUCT and "xml" in accept)  # these predicates cannot be written in RDF/XML
    ),
    *(
        ("POST", "/offerings", {"json": {"offerings_id": "0xa"}, "headers": {"Accept": accept}}, 200)
        for accept in GRAPHS
    ),
    *(
        ("DELETE", path, {}, 405)
        for path in ("/", "/health", "/nodes", "/offerings", "/openapi.json", "/sparql", "/data")
    ),
]


@pytest.fixture
def serving(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Serving:
    serving = Serving.over(engine, nodes)
    serving.list("0xb", described("https://p.example/2"), now_in_milliseconds())  # it may still come to a node
    (made_up,) = generate(1)
    whole = read_description(made_up.description, made_up.iri)
    serving.place("a", whole)
    serving.list("0xc", whole)
    return serving


def template(path: str) -> str:
    """Return the path as the document has it."""
    return re.sub(r"^(/offerings|/catalog/datasets)/.+", r"\1/{identifier}", path)


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the document, or what it refers to."""
    if "$ref" not in part:
        return part
    found: Any = describe()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def is_instance(value: object, schema: dict[str, Any]) -> bool:
    return bool(OAS31Validator({**schema, "components": describe()["components"]}).is_valid(value))


def documented(operation: dict[str, Any], response: TestResponse) -> None:
    """Assert that an operation of the document describes a response."""
    answers = operation["responses"]
    assert str(response.status_code) in answers, (
        f"status {response.status_code} is not documented: {response.text[:200]}"
    )
    answer = resolved(answers[str(response.status_code)])
    headers = answer.get("headers", {})
    told = set(response.headers.keys()) - FOR_HTTP
    assert told <= headers.keys(), "these headers are not documented"
    assert not headers.keys() - told - NOT_ALWAYS, "these headers are documented and not sent"
    if response.status_code == 304:
        return
    assert response.mimetype in answer["content"], f"{response.mimetype} is not documented"
    if response.mimetype in ("application/json", "application/problem+json"):
        assert is_instance(response.get_json(force=True), answer["content"][response.mimetype]["schema"])


def test_it_is_an_openapi_document() -> None:
    openapi_spec_validator.validate(describe())


def test_every_member_of_a_body_is_described() -> None:
    schemas = describe()["components"]["schemas"]

    assert {"Explanation", "ListedOffering", "NodeStatus", "Problem"} <= schemas.keys()
    for name, schema in schemas.items():
        assert schema["description"], name
        assert all(member["description"] for member in schema["properties"].values()), name


def test_it_has_every_route_and_no_other(serving: Serving) -> None:
    routes = {
        (rule.rule.replace("<path:", "{").replace(">", "}"), method)
        for rule in serving.app.url_map.iter_rules()
        if rule.endpoint != "pages.static"  # what the pages for people load
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes == {(path, method.upper()) for path, item in describe()["paths"].items() for method in item}


def test_every_operation_is_called_here() -> None:
    documented = {(method.upper(), path) for path, item in describe()["paths"].items() for method in item}

    assert documented <= {(method, template(path)) for method, path, _, status in CALLS if status == 200}


@pytest.mark.parametrize(("method", "path", "how", "status"), CALLS)
def test_what_comes_is_what_it_says(serving: Serving, method: str, path: str, how: dict[str, Any], status: int) -> None:
    response = serving.client.open(path, method=method, **how)

    assert response.status_code == status, response.text[:500]
    item = describe()["paths"][template(path)]
    documented(item.get(method.lower()) or item["get"], response)
    response.close()


def test_refusals_of_the_guard_are_what_it_says(engine: Engine) -> None:
    reader = {"X-API-Key": "a reader's key"}
    known = Mock(known_by={"a reader's key": Client("reader", False)}.get)
    serving = Serving(engine)
    Guard(LinkLogger("Gateway"), [known], open_reading=False, per_minute=1, has_admin_port=True).protect(serving.app)
    paths = describe()["paths"]

    for path, headers, status in (
        ("/offerings", {}, 401),
        ("/nodes", reader, 404),
        ("/health", {}, 200),
        ("/sparql", {}, 429),
    ):
        response = serving.client.get(path, headers=headers)
        assert response.status_code == status
        documented(paths[path]["get"], response)

    serving = Serving(engine)
    Guard(LinkLogger("Gateway"), [known]).protect(serving.app)
    documented(paths["/nodes"]["get"], serving.client.get("/nodes", headers=reader))


def test_a_response_that_differs_would_be_found(serving: Serving) -> None:
    operation = describe()["paths"]["/nodes"]["get"]

    with pytest.raises(AssertionError):
        documented(operation, serving.client.get("/health"))
    with pytest.raises(AssertionError):
        documented(operation, serving.client.get("/sparql"))
