"""Which format a client gets."""

from __future__ import annotations

import pytest

from topology.federation.errors import NotAcceptable
from topology.federation.formats import choose
from topology.federation.plan import Form

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("form", "accept", "media_type", "content_type"),
    [
        ("SELECT", "", "application/sparql-results+json", "application/sparql-results+json"),
        ("SELECT", "*/*", "application/sparql-results+json", "application/sparql-results+json"),
        ("ASK", "application/json", "application/sparql-results+json", "application/json"),
        ("SELECT", "application/json, text/plain, */*", "application/sparql-results+json", "application/json"),
        (
            "SELECT",
            "application/sparql-results+xml",
            "application/sparql-results+xml",
            "application/sparql-results+xml",
        ),
        ("SELECT", BROWSER, "application/sparql-results+xml", "application/xml"),
        (
            "SELECT",
            "text/csv;q=0.5, text/tab-separated-values",
            "text/tab-separated-values",
            "text/tab-separated-values",
        ),
        ("SELECT", "text/turtle, text/csv;q=0.1", "text/csv", "text/csv"),
        ("CONSTRUCT", "", "text/turtle", "text/turtle"),
        ("DESCRIBE", "application/json", "application/ld+json", "application/json"),
        ("CONSTRUCT", "application/ld+json", "application/ld+json", "application/ld+json"),
        ("CONSTRUCT", "application/n-triples", "application/n-triples", "application/n-triples"),
        ("CONSTRUCT", "application/rdf+xml", "application/rdf+xml", "application/rdf+xml"),
        ("CONSTRUCT", "application/sparql-results+json, */*;q=0.1", "text/turtle", "text/turtle"),
    ],
)
def test_the_best_format_is_chosen(form: Form, accept: str, media_type: str, content_type: str) -> None:
    assert choose(form, accept) == (media_type, content_type)


@pytest.mark.parametrize(
    ("form", "accept"), [("SELECT", "text/turtle"), ("CONSTRUCT", "text/csv"), ("ASK", "image/png")]
)
def test_when_there_is_none_the_client_is_told(form: Form, accept: str) -> None:
    with pytest.raises(NotAcceptable, match=form):
        choose(form, accept)
