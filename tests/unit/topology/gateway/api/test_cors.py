"""Pages of any origin may read what the gateway says, and never with their visitor's credentials."""

from __future__ import annotations

import flask
import pytest
from flask.testing import FlaskClient

from topology.gateway.api.cors import allow_other_origins


@pytest.fixture
def client() -> FlaskClient:
    app = flask.Flask(__name__)
    allow_other_origins(app)
    app.add_url_rule("/", view_func=lambda: "fine", methods=["GET", "POST"])
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_allow_other_origins_lets_any_page_read_answers_and_errors(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers={"Origin": "https://page.example"}).headers

    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Retry-After" in headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers


def test_allow_other_origins_says_before_a_request_what_it_may_have(client: FlaskClient) -> None:
    headers = client.options("/", headers={"Origin": "https://page.example"}).headers

    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST"
    for name in ("Authorization", "X-API-Key", "If-None-Match"):
        assert name in headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers


def test_allow_other_origins_names_no_methods_of_what_is_not_there(client: FlaskClient) -> None:
    assert "Access-Control-Allow-Methods" not in client.options("/nothing").headers
