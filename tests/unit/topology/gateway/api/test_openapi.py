"""The OpenAPI document says what the gateway does: neither more nor less, checked against real responses."""

from __future__ import annotations

from typing import Any

import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from federation.engine import Engine
from federation.protocol.negotiation import GRAPHS, SOLUTIONS
from tests.helpers.gateway import Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.gateway.api.openapi import describe

SELECT = {"query": "SELECT * { ?s ?p ?o }"}
CONSTRUCT = {"query": "CONSTRUCT WHERE { ?s ?p ?o }"}
NOT_ALWAYS = {"ETag", "Catena-Completeness"}
FOR_HTTP = {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Content-Length", "Content-Type", "Date"}

_Call = tuple[str, str, dict[str, Any], int]
CALLS: list[_Call] = [
    ("GET", "/", {}, 200),
    ("GET", "/health", {}, 200),
    ("GET", "/nodes", {}, 200),
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
            ("GET", path, {"query_string": {**SELECT, "format": "png"}}, 406),
            ("POST", path, {"data": SELECT}, 200),
            ("POST", path, {"data": b"DROP ALL", "content_type": "application/sparql-update"}, 400),
            ("POST", path, {"data": b"x" * 1_100_000}, 413),
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
    *(("DELETE", path, {}, 405) for path in ("/", "/health", "/nodes", "/offerings", "/openapi.json", "/sparql")),
]


@pytest.fixture
def serving(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Serving:
    serving = Serving.over(engine, nodes)
    serving.list("0xb", described("https://p.example/2"))
    return serving


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    if "$ref" not in part:
        return part
    found: Any = describe()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def is_instance(value: object, schema: dict[str, Any]) -> bool:
    return bool(OAS31Validator({**schema, "components": describe()["components"]}).is_valid(value))


def documented(operation: dict[str, Any], response: TestResponse) -> None:
    """That an operation of the document says what a response is."""
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
        (rule.rule, method)
        for rule in serving.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes == {(path, method.upper()) for path, item in describe()["paths"].items() for method in item}


def test_every_operation_is_called_here() -> None:
    documented = {(method.upper(), path) for path, item in describe()["paths"].items() for method in item}

    assert documented <= {(method, path) for method, path, _, status in CALLS if status == 200}


@pytest.mark.parametrize(("method", "path", "how", "status"), CALLS)
def test_what_comes_is_what_it_says(serving: Serving, method: str, path: str, how: dict[str, Any], status: int) -> None:
    response = serving.client.open(path, method=method, **how)

    assert response.status_code == status, response.text[:500]
    item = describe()["paths"][path]
    documented(item.get(method.lower(), item["get"]), response)


def test_a_response_that_differs_would_be_found(serving: Serving) -> None:
    operation = describe()["paths"]["/nodes"]["get"]

    with pytest.raises(AssertionError):
        documented(operation, serving.client.get("/health"))
    with pytest.raises(AssertionError):
        documented(operation, serving.client.get("/sparql"))
