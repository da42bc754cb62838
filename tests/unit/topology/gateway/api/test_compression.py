"""Answers that are compressed for the clients that ask for it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import flask
import pytest
from flask.testing import FlaskClient

from federation.protocol.etag import revalidated
from topology.gateway.api.compression import Codings, codings, compress_answers

LARGE = b"0123456789" * 1000


@pytest.fixture
def client() -> FlaskClient:
    app = flask.Flask(__name__)
    compress_answers(app)

    def parts() -> Iterator[bytes]:
        yield LARGE
        yield b"the end"

    def answer(kind: str) -> flask.Response:
        if kind == "parts":
            return flask.Response(parts(), content_type="text/csv")
        if kind == "events":
            return flask.Response(parts(), content_type="text/event-stream")
        if kind == "image":
            return flask.Response(LARGE, content_type="image/png")
        if kind == "error":
            return flask.Response(LARGE, status=400, content_type="application/problem+json")
        response = flask.Response(LARGE if kind == "large" else b"{}", content_type="application/json")
        return revalidated(response, flask.request)

    app.add_url_rule("/<kind>", view_func=answer)
    return app.test_client()


@pytest.mark.parametrize(
    "accept",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "*",
        "deflate, gzip;q=1.0, *;q=0.5",
        "gzip;q=0.001",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "identity;q=0.5, gzip;q=1.0",
        "gzip, identity",
        "identity;q=0, gzip",
    ],
)
@pytest.mark.parametrize(("kind", "body"), [("large", LARGE), ("parts", LARGE + b"the end"), ("error", LARGE)])
def test_an_answer_is_compressed_for_those_who_like_that(
    client: FlaskClient, accept: str, kind: str, body: bytes
) -> None:
    response = client.get(f"/{kind}", headers={"Accept-Encoding": accept})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == body
    assert "Accept-Encoding" in response.vary
    assert response.headers.get("Content-Length") in (None, str(len(response.data)))


@pytest.mark.parametrize(
    "accept",
    [None, "", "identity", "deflate, br", "gzip;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "*;q=0, identity"],
)
@pytest.mark.parametrize("kind", ["large", "parts"])
def test_it_comes_as_it_is_for_others(client: FlaskClient, accept: str | None, kind: str) -> None:
    response = client.get(f"/{kind}", headers={} if accept is None else {"Accept-Encoding": accept})
    assert response.data.startswith(LARGE)
    assert "Content-Encoding" not in response.headers
    assert "Accept-Encoding" in response.vary


@pytest.mark.parametrize("kind", ["small", "events", "image"])
def test_what_would_gain_nothing_comes_as_it_is(client: FlaskClient, kind: str) -> None:
    assert "Content-Encoding" not in client.get(f"/{kind}", headers={"Accept-Encoding": "gzip"}).headers


def test_a_small_answer_is_compressed_where_nothing_else_is_acceptable(client: FlaskClient) -> None:
    response = client.get("/small", headers={"Accept-Encoding": "gzip, identity;q=0"})
    assert gzip.decompress(response.data) == b"{}"


@pytest.mark.parametrize("accept", ["identity;q=0", "*;q=0", "br, *;q=0", "identity;q=0, gzip;q=0"])
def test_a_request_that_accepts_nothing_is_refused(client: FlaskClient, accept: str) -> None:
    response = client.get("/large", headers={"Accept-Encoding": accept})
    assert response.status_code == 406
    assert "Accept-Encoding" in response.get_json()["detail"]


def test_head_says_what_get_does(client: FlaskClient) -> None:
    get, head = (getattr(client, method)("/large", headers={"Accept-Encoding": "gzip"}) for method in ("get", "head"))
    assert head.data == b""
    assert dict(head.headers) == dict(get.headers)


def test_an_answer_is_known_again_in_either_form(client: FlaskClient) -> None:
    plain, compressed = client.get("/large"), client.get("/large", headers={"Accept-Encoding": "gzip"})
    assert plain.get_etag()[0] == compressed.get_etag()[0]
    assert (plain.get_etag()[1], compressed.get_etag()[1]) == (False, True)
    for first in (plain, compressed):
        headers = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"}
        again = client.get("/large", headers=headers)
        assert (again.status_code, again.data) == (304, b"")
        assert "Content-Encoding" not in again.headers
        assert "Accept-Encoding" in again.vary


def test_no_header_accepts_what_is_not_coded() -> None:
    assert codings(None) == codings("") == Codings(0, 0.001)
    assert codings("*;q=0") == Codings(0, 0)
    assert codings("gzip;q=0.5, identity;q=0.2, *;q=0") == Codings(0.5, 0.2)
