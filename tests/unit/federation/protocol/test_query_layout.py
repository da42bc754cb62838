"""Queries as they are shown: broken where a reader would, never longer than can be read, and nothing left out in silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.query_layout import lay_out

PULL = (
    "SELECT ?s ?p ?o ?g WHERE { { VALUES ?p { <urn:p> } GRAPH ?g { ?s ?p ?o } } UNION { GRAPH ?g { ?s <urn:q> ?o } } UNION "
    "{ VALUES ?p { <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> } "
    "VALUES ?o { <https://w3id.org/sedimark/ontology#Offering> } GRAPH ?g { ?s ?p ?o } } }"
)
PUSHED = (
    "PREFIX ex: <urn:ex:> SELECT DISTINCT ?s { GRAPH ?g { ?s ex:title ?title. OPTIONAL { ?s ex:part ?part } "
    'FILTER(CONTAINS(LCASE(?title), "wind")) } } ORDER BY ?title LIMIT 5'
)
WORDS = st.sampled_from(
    [
        "{",
        "}",
        "(",
        ")",
        ".",
        ",",
        "UNION",
        "VALUES",
        "IN",
        "FILTER",
        "SELECT",
        "?s",
        "<urn:a>",
        "ex:b",
        "1.5",
        '"a b"',
        "'",
        " ",
    ]
)


def laid_out(text: str, width: int = 80, most_lines: int = 50) -> str:
    return "\n".join(lay_out(text, width, most_lines))


def test_alternatives_begin_lines_and_what_is_short_stays_on_one() -> None:
    assert (
        laid_out(PULL)
        == """\
SELECT ?s ?p ?o ?g WHERE {
  { VALUES ?p { <urn:p> } GRAPH ?g { ?s ?p ?o } }
  UNION { GRAPH ?g { ?s <urn:q> ?o } }
  UNION {
    VALUES ?p { <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> }
    VALUES ?o { <https://w3id.org/sedimark/ontology#Offering> }
    GRAPH ?g { ?s ?p ?o }
  }
}"""
    )


def test_clauses_and_statements_begin_lines() -> None:
    assert (
        laid_out(PUSHED)
        == """\
PREFIX ex: <urn:ex:>
SELECT DISTINCT ?s {
  GRAPH ?g {
    ?s ex:title ?title.
    OPTIONAL { ?s ex:part ?part }
    FILTER(CONTAINS(LCASE(?title), "wind"))
  }
}
ORDER BY ?title LIMIT 5"""
    )


def test_long_lines_are_wrapped_between_words() -> None:
    lines = lay_out("SELECT " + " ".join(f"?variable_{n}" for n in range(30)) + " {}", 60, 50)

    assert len(lines) > 5
    assert all(len(line) <= 60 for line in lines)


def test_long_lists_are_shortened_and_it_is_said_by_how_much() -> None:
    graphs = [f"<urn:graph:{n}>" for n in range(1200)]

    assert (
        laid_out(f"ASK {{ VALUES ?g {{ {' '.join(graphs)} }} GRAPH ?g {{}} }}")
        == """\
ASK {
  VALUES ?g { <urn:graph:0> <urn:graph:1> <urn:graph:2> … 1,197 more }
  GRAPH ?g { }
}"""
    )
    assert laid_out(f"ASK {{ FILTER(?g IN ({', '.join(graphs)})) }}", width=100) == (
        "ASK { FILTER(?g IN (<urn:graph:0>, <urn:graph:1>, <urn:graph:2>, … 1,197 more)) }"
    )
    assert laid_out('ASK { VALUES (?a ?b) { (1 "a b") (2 UNDEF) (3 4) (5 6) (7 8) } }') == (
        'ASK { VALUES (?a ?b) { (1 "a b") (2 UNDEF) (3 4) … 2 more } }'
    )


def test_short_lists_are_whole() -> None:
    assert laid_out("ASK { VALUES ?x { 1 2 3 4 } }") == "ASK { VALUES ?x { 1 2 3 4 } }"


def test_long_terms_are_shortened() -> None:
    shown = laid_out(f'ASK {{ ?s ?p "{"x" * 500}" }}', width=200)

    assert "… 442 characters …" in shown
    assert len(shown) < 120


def test_long_queries_are_cut_and_it_is_said_by_how_much() -> None:
    text = " UNION ".join(["{ ?s ?p ?o }"] * 100)

    assert lay_out(f"ASK {{ {text} }}", 80, 10)[-1] == "… 93 more lines"
    assert lay_out(f"ASK {{ {text * 100} }}", 80, 10)[-2:] == ["… 2,634 more lines", "… 139,308 more characters"]


def test_a_list_in_which_the_text_is_cut_is_shortened_too() -> None:
    assert (
        laid_out("ASK { VALUES ?g { " + "<urn:g> " * 10_000 + "} }")
        == """\
ASK {
  VALUES ?g {
    <urn:g> <urn:g> <urn:g> … 6,245 more
… 30,021 more characters"""
    )


def test_what_a_terminal_would_obey_is_escaped() -> None:
    shown = laid_out("ASK { ?s ?p '''a\n\x1b[31mred\u202e''' }")

    assert shown == r"ASK { ?s ?p '''a\n\x1b[31mred\u202e''' }"


def test_spaces_within_strings_and_numbers_are_as_they_were() -> None:
    assert laid_out("ASK { ?s ?p 'a  b' , 1.50 , -2e3 }") == "ASK { ?s ?p 'a  b' , 1.50 , -2e3 }"


@given(st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=60), st.integers(20, 100))
def test_any_text_keeps_all_that_is_not_said_to_be_left_out(text: str, width: int) -> None:
    lines = lay_out(text, width, 1000)

    assert all(line.isprintable() and line.strip() for line in lines)
    if "#" not in text and "…" not in "".join(lines) and text.isprintable():
        assert "".join("".join(lines).split()) == "".join(text.split())
