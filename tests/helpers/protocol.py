"""A client of the SPARQL protocol as an engine speaks it over some nodes."""

from __future__ import annotations

import flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from federation.engine import Engine
from federation.protocol.sparql import sparql_blueprint
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node

SELECT = "SELECT ?s { ?s <urn:p> ?o FILTER(?o + 1 > 1 && ?o < 5) }"
CONSTRUCT = "CONSTRUCT WHERE { ?s <urn:p> ?o }"
FORM = "application/x-www-form-urlencoded"


def client_of(engine: Engine, nodes: list[Node], *, partial_answers: bool = True) -> FlaskClient:
    def snapshot(avoided: frozenset[str]) -> Snapshot:
        sources = tuple(Source(f"node {n}", node.url) for n, node in enumerate(nodes) if f"node {n}" not in avoided)
        return Snapshot(sources, {"urn:g1": sources[0].id if sources else ""}, frozenset(), tuple(sorted(avoided)))

    app = flask.Flask(__name__)
    app.register_blueprint(
        sparql_blueprint(engine, snapshot, max_request_bytes=10_000, partial_answers=partial_answers)
    )
    return app.test_client()


def subjects(response: TestResponse) -> set[str]:
    assert response.status_code == 200, response.text
    return {binding["s"]["value"] for binding in response.get_json(force=True)["results"]["bindings"]}


def problem(response: TestResponse, status: int) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    found = response.get_json(force=True)
    assert found["status"] == status and found["detail"]
    return dict(found)
