"""A syntax error names the place where a query goes wrong, not the farthest one that the parser looked at."""

from __future__ import annotations

import pyoxigraph
import pytest

from federation.analysis.syntax_errors import syntax_error
from federation.errors import QuerySyntaxError


def error_of(text: str, shown: str = "") -> QuerySyntaxError:
    with pytest.raises(SyntaxError) as caught:
        pyoxigraph.Store().query(text)
    return syntax_error(text, str(caught.value), shown or text)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("SELECT * { ?s ?p }", 1, 18, "'}' is not expected here"),
        ("SELECT *\n{ ?s ?p ?o . }}", 2, 15, "'}' is not expected here"),
        ("SELECT * { ?s ?p ?o } ORDER LIMIT 1", 1, 29, "'LIMIT' is not expected here"),
        ("SELEKT * { ?s ?p ?o }", 1, 1, "'SELEKT' is not expected here"),
        ("SELECT * { ?s ?p ?o", 1, 20, "the query ends too early"),
        ("SELECT * { ?s ?p ?o  \n\n", 1, 20, "the query ends too early"),
        ("SELECT * {\n  ?s ?p '\N{GRINNING FACE}' ?o }", 2, 13, "'?o' is not expected here"),
    ],
)
def test_syntax_error_is_at_the_first_token_that_cannot_follow(text: str, line: int, column: int, said: str) -> None:
    error = error_of(text)

    assert (error.line, error.column) == (line, column)
    assert said in str(error)


def test_syntax_error_shows_the_query_as_it_was_sent() -> None:
    text, sent = ("SELECT * { ?s ?p ?o } LIMIT " + name for name in ("<urn:inside>", "<urn:sender>"))

    assert "'<urn:sender>' is not expected" in str(error_of(text, sent))


def test_syntax_error_quotes_a_long_token_in_part() -> None:
    assert len(str(error_of(f"SELECT * {{ ?s ?p ?o }} <urn:{'x' * 10_000}>"))) < 200


def test_syntax_error_with_a_long_reason_is_cut_between_two_alternatives() -> None:
    reasons = ", ".join(f"a reason number {n}" for n in range(100))
    error = syntax_error("ASK", f"error at 3:4: {reasons}", "ASK")

    assert (error.line, error.column) == (3, 4)
    assert "a reason number 0, " in str(error)
    assert ", …" in str(error)
    assert len(str(error)) < 300


def test_syntax_error_without_a_place_keeps_the_message_in_part() -> None:
    error = syntax_error("ASK", "m" * 1000, "ASK")

    assert not error.line
    assert "m" * 200 in str(error)
    assert "m" * 201 not in str(error)
