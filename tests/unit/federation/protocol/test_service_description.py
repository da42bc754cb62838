"""The service description in each format."""

from __future__ import annotations

import pyoxigraph
import pytest
from flask.testing import FlaskClient

from tests.helpers.protocol import problem


def test_a_service_description(client: FlaskClient) -> None:
    response = client.get("/sparql")
    assert response.content_type == "text/turtle; charset=utf-8"
    triples = [str(quad.triple) for quad in pyoxigraph.parse(response.data, pyoxigraph.RdfFormat.TURTLE)]
    sd = "http://www.w3.org/ns/sparql-service-description#"
    assert any(f"<{sd}endpoint> <http://localhost/sparql>" in triple for triple in triples)
    assert any(f"<{sd}feature> <{sd}UnionDefaultGraph>" in triple for triple in triples)


class TestServiceDescription:
    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            ("", "text/turtle"),
            ("*/*", "text/turtle"),
            ("application/rdf+xml", "application/rdf+xml"),
            ("application/ld+json", "application/ld+json"),
            ("application/n-triples;q=0.9, text/turtle;q=0.1", "application/n-triples"),
        ],
    )
    def test_in_each_format(self, client: FlaskClient, accept: str, content_type: str) -> None:
        response = client.get("/sparql", headers={"Accept": accept})
        assert response.content_type.startswith(content_type)
        assert response.headers["Vary"] == "Accept"
        read_format = pyoxigraph.RdfFormat.from_media_type(content_type)
        assert read_format
        assert len(list(pyoxigraph.parse(response.data, read_format))) == 16

    def test_by_the_name_of_a_format(self, client: FlaskClient) -> None:
        assert client.get("/sparql?format=nt").content_type == "application/n-triples"

    def test_a_format_that_cannot_be_had(self, client: FlaskClient) -> None:
        problem(client.get("/sparql", headers={"Accept": "image/png"}), 406)

    @pytest.mark.parametrize("host", ["a>b", "a b", "[", "", "\xff", "x" * 3000])
    def test_an_address_that_is_no_iri(self, client: FlaskClient, host: str) -> None:
        response = client.get("/sparql", environ_overrides={"HTTP_HOST": host})
        assert response.status_code in (200, 400)
        if response.status_code == 200:
            assert list(pyoxigraph.parse(response.data, pyoxigraph.RdfFormat.TURTLE))
