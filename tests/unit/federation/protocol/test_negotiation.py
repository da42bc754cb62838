"""Which format a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.analysis.plan import Form
from federation.errors import NotAcceptableError
from federation.protocol.negotiation import (
    GRAPHS,
    SOLUTIONS,
    choose,
    choose_for_graph,
    media_type_named,
)

JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
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
        ("SELECT", "TEXT/CSV; charset=utf-8", "text/csv", "text/csv"),
        ("SELECT", 'text/csv; header="present"; q=0.5, */*;q=0.4', "text/csv", "text/csv"),
        ("SELECT", "text/csv;q=0.3, text/*;q=0.5", "application/sparql-results+xml", "text/xml"),
        ("SELECT", "application/*;q=0, */*", "application/sparql-results+xml", "text/xml"),
        ("SELECT", JAVA, "application/sparql-results+json", "application/sparql-results+json"),
        ("SELECT", ",", "application/sparql-results+json", "application/sparql-results+json"),
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
    ("form", "accept"),
    [
        ("SELECT", "text/turtle"),
        ("CONSTRUCT", "text/csv"),
        ("ASK", "image/png"),
        ("ASK", "text/csv;q=0"),
        ("SELECT", "*/*;q=0"),
        ("SELECT", "json"),
        ("SELECT", ";"),
    ],
)
def test_when_there_is_none_the_client_is_told(form: Form, accept: str) -> None:
    with pytest.raises(NotAcceptableError, match=form):
        choose(form, accept)


def test_a_graph_that_no_query_asked_for() -> None:
    assert choose_for_graph("*/*").content_type == "text/turtle"
    assert choose_for_graph("*/*", "application/ld+json").content_type == "application/ld+json"
    assert choose_for_graph("application/rdf+xml", "application/ld+json").content_type == "application/rdf+xml"
    with pytest.raises(NotAcceptableError, match="text/turtle"):
        choose_for_graph("text/csv")


@pytest.mark.parametrize(
    ("form", "name", "media_type"),
    [
        ("SELECT", "json", "application/sparql-results+json"),
        ("SELECT", "application/sparql-results json", "application/sparql-results+json"),
        ("ASK", "XML", "application/sparql-results+xml"),
        ("SELECT", "csv", "text/csv"),
        ("SELECT", "srx", "application/sparql-results+xml"),
        ("ASK", "sparql-results json", "application/sparql-results+json"),
        ("SELECT", "tsv\n", "text/tab-separated-values"),
        ("SELECT", "text/tab-separated-values", "text/tab-separated-values"),
        ("CONSTRUCT", "json", "application/ld+json"),
        ("DESCRIBE", "ttl", "text/turtle"),
        ("CONSTRUCT", "nt", "application/n-triples"),
        ("CONSTRUCT", "rdf", "application/rdf+xml"),
        ("CONSTRUCT", "rdf+xml", "application/rdf+xml"),
        ("DESCRIBE", "rdf xml", "application/rdf+xml"),
        ("CONSTRUCT", "n3", "text/n3"),
        ("CONSTRUCT", "nq", "application/n-quads"),
        ("CONSTRUCT", "trig", "application/trig"),
    ],
)
def test_a_format_by_its_name(form: Form, name: str, media_type: str) -> None:
    assert media_type_named(form, ["auto", name, "json"]) == media_type
    assert choose(form, media_type).content_type == media_type


@pytest.mark.parametrize(
    ("form", "name"),
    [("SELECT", "turtle"), ("SELECT", "rdf+xml"), ("CONSTRUCT", "csv"), ("ASK", "html"), ("ASK", "*/*"), ("ASK", "")],
)
def test_a_name_without_a_format_is_passed_over(form: Form, name: str) -> None:
    assert media_type_named(form, [name]) == ""
    assert media_type_named(form, []) == ""


@given(st.text(), st.sampled_from(["", *SOLUTIONS, *GRAPHS]), st.text())
def test_any_header_is_read(before: str, media_type: str, after: str) -> None:
    try:
        assert choose("SELECT", before + media_type + after).content_type in SOLUTIONS
    except NotAcceptableError as refused:
        assert len(str(refused)) < 2000
