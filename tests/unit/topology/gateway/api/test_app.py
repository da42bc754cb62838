"""Every endpoint: methods, origins, caches, errors, and unforeseen requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.engine import Engine
from tests.helpers.answers import content, problem
from tests.helpers.gateway import G, Serving
from topology.gateway.api.app import create_app

EVERY_PATH = ("/", "/health", "/nodes", "/offerings", "/openapi.json", "/sparql", "/catalogue/sparql")


class TestPartialAnswers:
    def test_they_can_be_refused(self, engine: Engine, serving: Serving) -> None:
        app = create_app(engine, serving.directory, lambda: serving.view, partial_answers=False)
        asked = {"query": "ASK { ?s ?p ?o }"}

        assert serving.client.get("/sparql", query_string=asked).headers["Catena-Completeness"] == "partial; missing=c"
        response = app.test_client().get("/sparql", query_string=asked)
        assert "no answer from c" in problem(response, 503)
        assert response.get_json(force=True)["nodes"] == ["c"]
        assert response.headers["Retry-After"]

    def test_what_is_not_missing_can_be_had(self, engine: Engine, serving: Serving) -> None:
        client = create_app(engine, serving.directory, lambda: serving.view, partial_answers=False).test_client()

        assert client.get("/sparql", query_string={"query": f"ASK {{ GRAPH <{G}> {{ ?s ?p ?o }} }}"}).status_code == 200


class TestEveryEndpoint:
    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_the_index_names_it(self, serving: Serving, path: str) -> None:
        response = serving.client.get("/")

        assert path in (" ".join(f"{name} {what}" for name, what in content(response).items()))
        assert response.headers["Link"] == '<openapi.json>; rel="service-desc"'

    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_head_is_as_get_without_a_body(self, serving: Serving, path: str) -> None:
        get, head = serving.client.get(path), serving.client.head(path)

        assert (head.status_code, head.data) == (200, b"")
        assert dict(head.headers) == dict(get.headers)

    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_pages_of_other_origins_may_ask(self, serving: Serving, path: str) -> None:
        asked = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "GET"}
        allowed = serving.client.options(path, headers=asked)
        methods = set(allowed.headers["Access-Control-Allow-Methods"].split(", "))
        headers = set(allowed.headers["Access-Control-Allow-Headers"].split(", "))

        assert allowed.status_code == 200
        assert methods >= {"GET", "HEAD", "OPTIONS"}
        assert ("POST" in methods) == (path in ("/offerings", "/sparql", "/catalogue/sparql"))
        assert headers >= {"Accept", "Content-Type", "Cache-Control", "If-None-Match", "*"}
        for answer in (allowed, serving.client.get(path), serving.client.delete(path), serving.client.get(path + "/x")):
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert {"Catena-Completeness", "ETag", "Link"} <= set(
                answer.headers["Access-Control-Expose-Headers"].split(", ")
            )

    @pytest.mark.parametrize("path", [*EVERY_PATH, "/<script>alert(1)</script>", "/sparql?query=<b>"])
    def test_no_browser_takes_data_for_a_page(self, serving: Serving, path: str) -> None:
        response = serving.client.get(path)

        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.mimetype == "text/html" or "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.mimetype != "text/html" or "<script>alert" not in response.text

    @pytest.mark.parametrize("path", sorted(set(EVERY_PATH) - {"/health"}))
    def test_what_the_client_has_is_not_sent_again(self, serving: Serving, path: str) -> None:
        first = serving.client.get(path)
        again = serving.client.get(path, headers={"If-None-Match": first.headers["ETag"]})

        assert first.headers["Cache-Control"] == "no-cache"
        assert (again.status_code, again.data) == (304, b"")

    def test_health_is_kept_by_nobody(self, serving: Serving) -> None:
        assert serving.client.get("/health").headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("path", EVERY_PATH)
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"])
    def test_other_methods(self, serving: Serving, path: str, method: str) -> None:
        response = serving.client.open(path, method=method)

        assert f"not {method}" in problem(response, 405)
        assert set(response.headers["Allow"].split(", ")) >= {"GET", "HEAD", "OPTIONS"}

    @pytest.mark.parametrize("path", ["/sparql/", "/offerings/", "/nodes/"])
    def test_a_slash_at_the_end_makes_no_difference(self, serving: Serving, path: str) -> None:
        assert serving.client.get(path).status_code == 200

    @pytest.mark.parametrize("path", ["/nothing", "/sparql/x", "/%ff", "/nodes/a", "/.", "/catalogue"])
    def test_what_is_not_there(self, serving: Serving, path: str) -> None:
        assert "GET / says what there is" in problem(serving.client.get(path), 404)

    def test_what_breaks_is_not_told_in_detail(self, engine: Engine, serving: Serving) -> None:
        def broken() -> Any:
            raise RuntimeError("secret")

        app = create_app(engine, serving.directory, broken)
        app.logger.disabled = True

        assert "secret" not in problem(app.test_client().get("/health"), 500)


WORDS = """
    query= & = ASK { } SELECT * ?s <urn:x> % + %20 %00 %ff é " \\ default-graph-uri= named-graph-uri= format= output= csv
    explain= 1 update= limit= offset=
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\x00", "\r\n"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
ACCEPTS = st.sampled_from(
    ["*/*", "", "text/csv", "text/turtle;q=0", "x/y", ";", ",", 'a;b="c', "*/*;q=1e400", "*/*;q=nan"]
)
TAGS = st.sampled_from(["*", '"x"', 'W/"', '"', ",", ""])
TYPES = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/sparql-query",
        "application/json",
        "",
        "x;y",
        "multipart/form-data",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]),
    st.sampled_from(EVERY_PATH),
    TEXTS,
    TEXTS,
    TYPES,
    ACCEPTS,
    TAGS,
    TAGS,
)
def test_no_request_breaks_anything(
    serving: Serving,
    method: str,
    path: str,
    query: str,
    body: str,
    content_type: str,
    accept: str,
    tag: str,
    other_tag: str,
) -> None:
    response = serving.client.open(
        path,
        method=method,
        data=body.encode(),
        content_type=content_type,
        headers={"Accept": accept, "If-None-Match": tag, "If-Match": other_tag, "Cache-Control": tag},
        environ_overrides={"QUERY_STRING": query.encode().decode("latin-1")},
    )

    assert response.status_code < 500
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    if response.status_code >= 400:
        assert response.content_type == "application/problem+json"


def test_a_description_is_kept_by_nobody_who_asked_with_post(serving: Serving) -> None:
    response = serving.offering("0xa", **{"If-None-Match": "*"})

    assert response.status_code == 200
    assert "ETag" not in response.headers
    assert response.headers["Vary"] == "Accept, Accept-Encoding"


def test_the_document_for_programs_is_json(serving: Serving) -> None:
    assert json.loads(serving.client.get("/openapi.json").data)["openapi"] == "3.1.0"
