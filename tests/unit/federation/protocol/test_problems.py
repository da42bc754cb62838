"""Each error of a query has its status; none shows a password, and none is stored."""

from __future__ import annotations

from http import HTTPStatus

import flask
import pytest
from flask.testing import FlaskClient

from federation import errors
from federation.errors import FederationError
from federation.protocol.problems import (
    RequestTooLargeError,
    UnsupportedCodingError,
    UnsupportedMediaTypeError,
    of_error,
    problem,
    register,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.QuerySyntaxError("no", 2, 3), 400),
        (errors.UpdateRefusedError("no"), 400),
        (RequestTooLargeError("no"), 413),
        (UnsupportedMediaTypeError("no"), 415),
        (UnsupportedCodingError("no"), 415),
        (errors.TooLargeError("no"), 422),
        (errors.QueryRefusedError("no"), 403),
        (errors.NotAcceptableError("no"), 406),
        (errors.SourceFailedError("no", {"b", "a"}), 503),
        (errors.BadAnswerError("no", {"b", "a"}), 502),
        (errors.UnreadableRowsError("no", {"b", "a"}), 502),
        (errors.SilentSourceError("no", {"b", "a"}), 504),
        (errors.ServerStoppingError("no"), 503),
        (errors.TooBusyError("no"), 503),
        (errors.ServiceFailedError("no"), 502),
        (errors.QueryCancelledError("no"), 503),
        (errors.QueryTimeoutError("no"), 504),
        (FederationError("no"), 500),
    ],
)
def test_of_error_gives_each_kind_its_status_and_a_reason(error: FederationError, status: int) -> None:
    response = of_error(error)

    assert (response.status_code, response.get_json(force=True)["status"]) == (status, status)
    assert "no" in response.get_json(force=True)["detail"]
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) is (status == 503)


def test_of_error_tells_programs_the_place_of_a_syntax_error_and_the_nodes_that_failed() -> None:
    wrong = of_error(errors.QuerySyntaxError("no", 2, 3)).get_json(force=True)
    failed = of_error(errors.SourceFailedError("no", {"b", "a"})).get_json(force=True)

    assert (wrong["line"], wrong["column"]) == (2, 3)
    assert failed["nodes"] == ["a", "b"]


def test_of_error_for_another_media_type_names_those_that_are_read() -> None:
    assert "application/sparql-query" in of_error(UnsupportedMediaTypeError("no")).headers["Accept"]


def test_of_error_for_a_compressed_body_names_the_coding_that_is_read() -> None:
    headers = of_error(UnsupportedCodingError("no")).headers

    assert headers["Accept-Encoding"] == "identity"
    assert "Accept" not in headers


def test_problem_shows_no_password_of_an_address() -> None:
    response = problem(HTTPStatus.BAD_GATEWAY, "http://ada:secret@node.example/ failed")

    assert "secret" not in response.get_data(as_text=True)
    assert "node.example" in response.get_data(as_text=True)


@pytest.fixture
def client() -> FlaskClient:
    app = flask.Flask(__name__)
    register(app)
    app.add_url_rule("/one/", "one", view_func=lambda: "fine", methods=["GET"])
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    return app.test_client()


def test_of_http_passes_redirects_on(client: FlaskClient) -> None:
    assert client.get("/one").status_code == 308


def test_of_http_names_the_methods_of_an_address(client: FlaskClient) -> None:
    response = client.put("/one/")

    assert (response.status_code, response.content_type) == (405, "application/problem+json")
    assert "GET, HEAD, OPTIONS, not PUT" in response.get_json()["detail"]
    assert "GET" in response.headers["Allow"]


def test_of_http_repeats_an_unknown_address_in_part(client: FlaskClient) -> None:
    response = client.get(f"/{'x' * 5000}")

    assert response.status_code == 404
    assert len(response.get_json()["detail"]) < 300


def test_of_http_tells_nothing_of_what_broke(client: FlaskClient) -> None:
    response = client.get("/broken")

    assert (response.status_code, response.content_type) == (500, "application/problem+json")
    assert "division" not in response.text
