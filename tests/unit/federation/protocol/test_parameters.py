"""The parameters of requests, escaped or not."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, urlencode

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


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "body",
    [
        lambda query: urlencode({"query": query}),
        lambda query: "query=" + quote(query, safe="!~*'()"),  # encodeURIComponent
        lambda query: "query=" + query,
        lambda query: f"default-graph-uri=urn:g&query={query}",
        lambda query: f"query={query}&default-graph-uri=urn:g",
        lambda query: f"explain=1&query={query}&explain=1&default-graph-uri=urn:g",
        lambda query: f"\ufeffquery={query}",
        lambda query: urlencode({"query": f"\ufeff{query}"}),
        lambda query: f"query=\ufeff{query}",
    ],
    ids=["form", "component", "raw", "raw, last", "raw, first", "explained", "mark", "mark in a form", "mark, raw"],
)
def test_the_query_is_found_escaped_or_not(query: str, body: object) -> None:
    assert callable(body)
    text: str = body(query)
    given = read_form(text.encode())
    assert given.query == query
    assert given.default_graphs == (("urn:g",) if "default-graph-uri" in text else ())


def test_a_new_line_after_an_escaped_form_is_no_part_of_it() -> None:
    assert read_form(b"query=ASK+%7B%7D&default-graph-uri=urn%3Ag\r\n") == Parameters("ASK {}", ("urn:g",))


def test_other_parameters_of_an_escaped_form_are_no_part_of_the_query() -> None:
    assert read_form(b"query=ASK%20%7B%7D&timeout=5&debug=on").query == "ASK {}"


@given(st.text())
def test_what_is_escaped_rightly_is_read_rightly(query: str) -> None:
    named = (query,) if query else ()
    assert read_form(urlencode({"query": query, "named-graph-uri": query}).encode()) == Parameters(
        query.removeprefix("\ufeff"), (), named
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
    assert read_form(urlencode(form).encode()) == Parameters("ASK {}", ("a", "b"), ("c",), False, ("csv",), "1")
    assert read_form(b"") == Parameters(None)
    assert read_form(b"update=DROP+ALL") == Parameters(None, is_update=True)


def test_empty_fields_are_passed_over() -> None:
    form = b"query=ASK+%7B%7D&default-graph-uri=&named-graph-uri=&format=&timeout=&explain="
    assert read_form(form) == Parameters("ASK {}")
    assert read_form(b"query=ASK { }&default-graph-uri=&named-graph-uri=&timeout=") == Parameters("ASK { }")


def test_every_name_of_a_format_is_read() -> None:
    form = b"query=ASK+%7B%7D&format=auto&output=rdf%2Bxml&results=n3"
    assert read_form(form).formats == ("auto", "rdf+xml", "n3")


@pytest.mark.parametrize(
    ("timeout", "found"),
    [("5", 5.0), ("2.5", 2.5), ("10s", 10.0), ("500 ms", 0.5), ("0", None), ("", None), (" 7 ", 7.0)],
)
def test_a_timeout_is_read_in_seconds(timeout: str, found: float | None) -> None:
    assert read_form(urlencode({"query": "ASK {}", "timeout": timeout}).encode()).timeout == found


@pytest.mark.parametrize("timeout", ["x", "-1", "1e9", "5m", "nan", "inf", "9" * 50])
def test_a_timeout_that_is_none_is_an_error(timeout: str) -> None:
    with pytest.raises(QuerySyntaxError, match="timeout is a number of seconds"):
        read_form(urlencode({"query": "ASK {}", "timeout": timeout}).encode())


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
        read_form(raw)


@pytest.mark.parametrize("raw", [b"query=\xff", b"query=ASK+%7B+%3Fs+%3Fp+'caf%E9'+%7D", b"default-graph-uri=caf%E9"])
def test_what_is_no_text_is_an_error(raw: bytes) -> None:
    """A replacement character in its place would ask for something else."""
    with pytest.raises(QuerySyntaxError, match="UTF-8"):
        read_form(raw)


def test_a_percent_sign_of_a_query_that_was_not_escaped_is_one() -> None:
    assert read_form(b"query=ASK { ?s ?p '100%E9' }").query == "ASK { ?s ?p '100%E9' }"


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(QuerySyntaxError):
        assert read_form(b"query=" + raw)
