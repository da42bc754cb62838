"""Answers that the client has are not sent again, and those that may lack graphs are not stored."""

from __future__ import annotations

from unittest import mock

import flask
import pytest
from flask.testing import FlaskClient

from federation.engine import Engine
from federation.protocol.etag import wants_fresh
from federation.protocol.sparql import COMPLETENESS, sparql_blueprint
from federation.source_selection import Snapshot
from tests.helpers.protocol import SELECT, subjects
from tests.helpers.sparql_node import Node, put


class TestCaching:
    def test_a_query_that_bypasses_caches_refreshes_what_is_known_of_nodes(self, engine: Engine) -> None:
        refreshed: list[int] = []
        app = flask.Flask(__name__)
        app.register_blueprint(
            sparql_blueprint(engine, lambda avoided: Snapshot(()), refresh=lambda: refreshed.append(1))
        )
        app.test_client().get("/sparql?query=ASK+{}")
        assert refreshed == []
        app.test_client().get("/sparql?query=ASK+{}", headers={"Cache-Control": "no-cache"})
        assert refreshed == [1]

    def test_what_the_client_has_is_not_sent_again(self, client: FlaskClient) -> None:
        asked = {"query": SELECT}
        first = client.get("/sparql", query_string=asked)
        tag = first.headers["ETag"]
        assert not tag.startswith("W/")
        assert first.headers["Cache-Control"] == "no-cache"
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = client.get("/sparql", query_string=asked, headers={"If-None-Match": known})
            assert (again.status_code, again.data) == (304, b"")
            assert again.headers["ETag"] == tag
            assert again.headers["Vary"] == "Accept"
            assert again.headers[COMPLETENESS] == "complete"
            assert again.headers["Cache-Control"] == "no-cache"
            assert "Content-Type" not in again.headers

    @pytest.mark.parametrize("known", ['"other"', "", "garbage", '"'])
    def test_what_it_has_not_is(self, client: FlaskClient, known: str) -> None:
        response = client.get("/sparql", query_string={"query": SELECT}, headers={"If-None-Match": known})
        assert subjects(response) == {"urn:s1", "urn:s2"}

    def test_the_tag_tells_formats_and_contents_apart(self, client: FlaskClient, nodes: list[Node]) -> None:
        def tag(**headers: str) -> str:
            return client.get("/sparql", query_string={"query": SELECT}, headers=headers).headers["ETag"]

        tags = {tag(Accept=accept) for accept in ("text/csv", "text/tab-separated-values", "application/json", "*/*")}
        assert len(tags) == 4
        put(nodes[1], "urn:g2", "<urn:s3> <urn:p> 2 .")
        try:
            assert tag(**{"Cache-Control": "no-cache"}) not in tags
        finally:
            put(nodes[1], "urn:g2", "<urn:s2> <urn:p> 2 .")

    def test_only_get_is_conditional(self, client: FlaskClient) -> None:
        response = client.post("/sparql", data={"query": SELECT}, headers={"If-None-Match": "*"})
        assert subjects(response) == {"urn:s1", "urn:s2"}
        assert "ETag" not in response.headers

    def test_what_may_lack_graphs_is_kept_by_nobody(self, client: FlaskClient, nodes: list[Node]) -> None:
        nodes[1].fault = "error"
        response = client.get("/sparql", query_string={"query": SELECT}, headers={"Cache-Control": "no-cache"})
        assert response.headers[COMPLETENESS].startswith("partial")
        assert response.headers["Cache-Control"] == "no-store"

    def test_errors_are_kept_by_nobody(self, client: FlaskClient) -> None:
        assert client.get("/sparql?query=x").headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("headers", "fresh"),
        [
            ({}, False),
            ({"Cache-Control": "no-cache"}, True),
            ({"Cache-Control": "max-age=5, No-Cache"}, True),
            ({"Cache-Control": "no-store"}, True),
            ({"Cache-Control": 'no-cache="x"'}, True),
            ({"Cache-Control": "max-age=60"}, False),
            ({"Cache-Control": "x-no-cache"}, False),
            ({"Pragma": "no-cache"}, True),
            ({"Pragma": "no-cache", "Cache-Control": "max-age=60"}, False),
        ],
    )
    def test_who_wants_nothing_that_was_kept_says_so(self, headers: dict[str, str], fresh: bool) -> None:
        with flask.Flask(__name__).test_request_context("/", headers=headers):
            assert wants_fresh(flask.request) is fresh

    @pytest.mark.parametrize("headers", [{}, {"Cache-Control": "no-cache"}])
    def test_the_engine_is_told(self, client: FlaskClient, engine: Engine, headers: dict[str, str]) -> None:
        with mock.patch.object(engine, "answer", wraps=engine.answer) as asked:
            assert subjects(client.get("/sparql", query_string={"query": SELECT}, headers=headers))
        assert asked.call_args.kwargs["fresh"] is bool(headers)
