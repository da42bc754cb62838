"""Reading requests, badly escaped ones too."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote, urlencode

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import QuerySyntaxError
from federation.protocol.parameters import Parameters, read_form

QUERIES = [
    "SELECT * WHERE { ?s ?p ?o }",
    "SELECT * { ?s ?p ?o FILTER(?s != ?o && ?p > 1 || ?o = 'a&b=c') }",
    "SELECT * { ?s <urn:p>+ ?o }",
    "SELECT *\n# a comment & more\n{ ?s <http://x/y#z?a=1&b=2> ?o }\nLIMIT 5",
    "SELECT (1 + 2 AS ?x) (?a+?b AS ?c) { VALUES (?a ?b) { (1 2) } }",
    "SELECT * { ?s <http://x/a%20b%2Bc> '100%' }",
    "SELECT * { ?s ?p 'é 𝒳 + %41' }",
    "ASK{<urn:a> <urn:b>/<urn:c>+ <urn:d>}",
    "ASK { <http://x/y?z=1&format=csv&output=json> ?p ?o }",
]


def escape_as_encode_uri(text: str) -> str:
    """JavaScript's encodeURI."""
    return quote(text, safe=";,/?:@&=+$-_.!~*'()#")


def first_valid(readings: Iterable[Parameters]) -> Parameters:
    for reading in readings:
        with suppress(SyntaxError):
            pyoxigraph.Store().query(reading.query or "")
            return reading
    raise AssertionError("no reading has a query")


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "body",
    [
        lambda query: urlencode({"query": query}),
        lambda query: "query=" + quote(query, safe="!~*'()"),  # encodeURIComponent
        lambda query: "query=" + query,
        lambda query: "query=" + escape_as_encode_uri(query),
        lambda query: f"default-graph-uri=urn:g&query={query}",
        lambda query: f"query={query}&default-graph-uri=urn:g",
        lambda query: f"format=json&query={escape_as_encode_uri(query)}&default-graph-uri=urn%3Ag&output=json",
        lambda query: f"explain=1&query={query}&explain=1&default-graph-uri=urn:g",
        lambda query: urlencode({"query": urlencode({"": query})[1:]}),
        lambda query: "query=" + quote(quote(query, safe=""), safe=""),
        lambda query: "query=" + quote(escape_as_encode_uri(query), safe=""),
        lambda query: f"\ufeffquery={query}",
    ],
    ids=[
        "form",
        "component",
        "raw",
        "encodeURI",
        "raw, last",
        "raw, first",
        "encodeURI, middle",
        "explained",
        "form, twice",
        "component, twice",
        "encodeURI, then component",
        "byte order mark",
    ],
)
def test_the_query_is_found_however_it_was_escaped(query: str, body: object) -> None:
    assert callable(body)
    text: str = body(query)
    reading = first_valid(read_form(text.encode()))
    assert reading.query == query
    assert reading.default_graphs == (("urn:g",) if "default-graph-uri" in text else ())


@given(st.text())
def test_what_is_escaped_rightly_is_read_rightly(query: str) -> None:
    assert next(read_form(urlencode({"query": query, "named-graph-uri": query}).encode())) == Parameters(
        query, (), (query,)
    )


def test_parameters() -> None:
    form = [
        ("default-graph-uri", "a"),
        ("default-graph-uri", "b"),
        ("named-graph-uri", "c"),
        ("query", "ASK {}"),
        ("x", "y"),
        ("format", ""),
        ("output", "csv"),
        ("explain", "1"),
    ]
    assert next(read_form(urlencode(form).encode())) == Parameters("ASK {}", ("a", "b"), ("c",), False, "csv", "1")
    assert list(read_form(b"")) == [Parameters(None)]
    assert list(read_form(b"update=DROP+ALL")) == [Parameters(None, is_update=True)]


@pytest.mark.parametrize(
    "raw",
    [
        b"query=ASK+%7B%7D&query=ASK+%7B%7D",
        b"query=ASK+{}&x=y&query=ASK+{}",
        b"query=ASK+{}&x=y&output=&%71uery=ASK+{}",
    ],
)
def test_two_queries_are_an_error(raw: bytes) -> None:
    with pytest.raises(QuerySyntaxError, match="several"):
        list(read_form(raw))


@pytest.mark.parametrize("raw", [b"query=\xff", b"query=ASK+%7B+%3Fs+%3Fp+'caf%E9'+%7D", b"default-graph-uri=caf%E9"])
def test_what_is_no_text_is_an_error(raw: bytes) -> None:
    """A replacement character in its place would ask for something else."""
    with pytest.raises(QuerySyntaxError, match="UTF-8"):
        list(read_form(raw))


def test_a_percent_sign_of_a_query_that_was_not_escaped_is_one() -> None:
    assert first_valid(read_form(b"query=ASK { ?s ?p '100%E9' }")).query == "ASK { ?s ?p '100%E9' }"


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(QuerySyntaxError):
        assert list(read_form(b"query=" + raw))
