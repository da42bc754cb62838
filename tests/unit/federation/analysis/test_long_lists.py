"""Long lists of constants: they are parsed as one name, and nodes get what they list."""

from __future__ import annotations

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.lexer import QueryText
from federation.analysis.long_lists import read_terms, short_lists

PREFIX = (
    "PREFIX : <urn:> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> "
    "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "
)


def test_a_long_list_is_pushed_down_as_a_short_one_is() -> None:
    iris = [f"<urn:s{n}>" for n in range(100)] + [f'"text {n}"' for n in range(20)]
    for text in ("?s IN ({})", "?s IN (\n{} )", "?s in ({}) && ?o > 1"):
        plan = analyse(f"SELECT * {{ ?s <urn:p> ?o FILTER({text.format(', '.join(iris))}) }}")
        [(number, terms)] = plan.bgps[0].values
        assert (number, set(terms)) == (0, set(iris))


@pytest.mark.parametrize(
    "item", ["{}", "-{}.5", "'{}'@en", "'{}'^^xsd:date", "'{}'^^<urn:t>", "<urn:{}>", ":{}", "'{}'"]
)
def test_a_long_list_of_any_constants_is_parsed_once(item: str) -> None:
    items = ", ".join([item.format(n) for n in range(30)] + [":last"])
    query = QueryText(f"{PREFIX} SELECT * {{ ?s ?p ?o FILTER(?o NOT IN ({items})) }}")
    assert "NOT IN (<urn:catena:list:0:>)" in short_lists(query)[0]


@pytest.mark.parametrize(
    ("head", "row", "short"),
    [
        ("?s", "<urn:s{}>", "VALUES ?s { <urn:catena:list:0:> }"),
        ("?s", "'a{}'@en", "VALUES ?s { <urn:catena:list:0:> }"),
        ("(?s)", "(:s{})", "VALUES (?s) { (<urn:catena:list:0:>) }"),
        ("(?s ?o)", "(<urn:s{0}> 'o{0}')", "VALUES (?s ?o) { (<urn:catena:list:0:> <urn:catena:list:1:>) }"),
        ("(?s ?o)", "(UNDEF -{}.5e3)", "VALUES (?s ?o) { (<urn:catena:list:0:> <urn:catena:list:1:>) }"),
        ("(?s ?o)", "('a'^^<urn:t> true)", "VALUES (?s ?o) { (<urn:catena:list:0:> <urn:catena:list:1:>) }"),
    ],
)
def test_many_rows_of_values_are_parsed_as_one(head: str, row: str, short: str) -> None:
    rows = " ".join(row.format(n) for n in range(50))
    for text in ("{{ ?s ?p ?o VALUES {} {{ {} }} }}", "{{ ?s ?p ?o }} VALUES {} {{ {} }}"):
        query = QueryText(f"{PREFIX} SELECT * {text.format(head, rows)}")
        assert short in short_lists(query)[0]
    few = QueryText(f"{PREFIX} SELECT * {{ ?s ?p ?o VALUES {head} {{ {row.format(1)} }} }}")
    assert short_lists(few) == (few.text, {})


def test_each_column_of_many_rows_narrows_as_few_rows_do() -> None:
    """A column that leaves a place open, or has other constants, narrows nothing."""
    for count in (3, 100):
        rows = " ".join(f"(<urn:s{n}> 'o{n}' {n} UNDEF)" for n in range(count))
        triples = "?s <urn:p> ?o ; <urn:q> ?n ; <urn:r> ?u"
        plan = analyse(f"SELECT * {{ GRAPH ?g {{ {triples} VALUES (?s ?o ?n ?u) {{ {rows} }} }} }}")
        [bgp] = plan.bgps
        assert [len(terms) for _, terms in bgp.values] == [count, count]


@pytest.mark.parametrize("items", [["<urn:a>"] * 50 + ["'text'@en"], ["1"] * 50, ["?x"] * 50])
def test_a_long_list_of_other_terms_narrows_nothing(items: list[str]) -> None:
    plan = analyse(f"SELECT * {{ ?s <urn:p> ?o FILTER(?o IN ({', '.join(items)})) }}")
    assert plan.bgps == ()
    assert not plan.pulls_everything


def test_several_long_lists_stand_for_their_own_terms() -> None:
    first, second = ([f"<urn:{kind}{n}>" for n in range(30)] for kind in "ab")
    query = QueryText(
        f"SELECT * {{ ?s ?p ?o FILTER(?s IN ({', '.join(first)})) VALUES ?o {{ {' '.join(second)} }} }} LIMIT 7"
    )
    text, lists = short_lists(query)
    assert text == (
        "SELECT * { ?s ?p ?o FILTER(?s IN (<urn:catena:list:0:>)) VALUES ?o { <urn:catena:list:1:> } } LIMIT 7"
    )
    assert [[f"<{term}>" for term in terms] for terms in lists.values()] == [first, second]


@pytest.mark.parametrize(
    "items",
    [
        pytest.param("<urn:a>, " * 9 + "<urn:a>", id="ten"),
        pytest.param("<urn:a>, " * 30 + "?x", id="a variable"),
        pytest.param("<urn:a>, " * 30 + "STR(1)", id="a function"),
        pytest.param("", id="none"),
    ],
)
def test_few_items_and_those_that_are_no_constants_stay_as_they_are(items: str) -> None:
    query = QueryText(f"SELECT * {{ ?s ?p ?o FILTER(?o IN ({items})) }}")
    assert short_lists(query) == (query.text, {})


def test_a_query_that_uses_the_name_of_a_list_stays_as_it_is() -> None:
    items = ", ".join(f"<urn:{n}>" for n in range(30))
    query = QueryText(f"SELECT * {{ <urn:catena:list:0:> ?p ?o FILTER(?o IN ({items})) }}")
    assert short_lists(query) == (query.text, {})


def test_read_terms_takes_the_prefixes_and_the_base_of_the_query() -> None:
    query = QueryText(
        "BASE <http://a.example/b/> PREFIX : <urn:x:> SELECT * { ?s ?p ?o FILTER(?o IN (<c>, :d, 'e\\n')) }"
    )
    tokens = [token for token in query.tokens if token.kind in ("iri", "name", "string")][-3:]
    assert [term.value for term in read_terms(query, tokens)] == ["http://a.example/b/c", "urn:x:d", "e\n"]
    assert read_terms(query, []) == []
