"""Why a query is answered the way it is."""

from __future__ import annotations

from federation.analysis.analyse import analyse
from federation.analysis.reasons import reasons

PREFIX = "PREFIX : <urn:> "


def told(text: str, tier: str = "A") -> str:
    return "\n".join(reasons(analyse(PREFIX + text), tier))


def test_what_is_left_to_nodes() -> None:
    assert told("SELECT * { GRAPH ?g { ?s a :C ; :p ?o FILTER(?o > 5) } }").startswith(
        "2 patterns within one graph and 1 condition"
    )


def test_one_pattern_of_the_default_graph() -> None:
    assert told("SELECT * { ?s :p ?o FILTER(?o > 5) }").startswith("1 pattern of the default graph and 1 condition")


def test_what_is_pulled_in_rounds() -> None:
    assert "2 patterns of the default graph are pulled in rounds" in told("SELECT * { ?s a :C ; :p ?o }")


def test_what_is_pulled_as_it_is() -> None:
    assert "1 pattern is pulled as it is" in told("SELECT * { ?s :p ?o }", "B")
    assert "2 patterns are pulled as they are" in told("SELECT * { { ?s :p ?o } UNION { ?s :q ?o } }", "B")


def test_everything_is_told_to_be_pulled_and_why() -> None:
    assert told("SELECT * { ?s <urn:\\u0061> ?o }", "B").startswith("everything is pulled: it has \\u escapes")


def test_descriptions_say_what_else_is_asked_for() -> None:
    assert "DESCRIBE asks for" in told("DESCRIBE ?s { ?s :p ?o }", "B")


def test_answers_over_the_view_say_so() -> None:
    (sentence,) = reasons(analyse(PREFIX + "SELECT * { ?s :p ?o ; :q ?z }"), "view")
    assert "its view" in sentence
