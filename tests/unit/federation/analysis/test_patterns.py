"""What a query can see."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.lexer import QueryText
from federation.analysis.long_lists import short_lists
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.errors import QueryRefusedError, QuerySyntaxError, UpdateRefusedError

PREFIX = (
    "PREFIX : <urn:> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> "
    "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "
)
TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
EVERYTHING = (None, None, None)


def seen(text: str) -> set[tuple[str | None, ...]]:
    """Return the patterns of a query of the default graph, as subject, predicate, object."""
    plan = analyse(PREFIX + text)
    assert not plan.pulls_everything
    assert {pattern.graph for pattern in plan.patterns} <= {DEFAULT_GRAPH}
    return {(pattern.subject, pattern.predicate, pattern.object) for pattern in plan.patterns}


def p(*predicates: str) -> set[tuple[str | None, ...]]:
    return {(None, f"<urn:{predicate}>", None) for predicate in predicates}


@pytest.mark.parametrize(
    ("group", "patterns"),
    [
        ("?s :p ?o", p("p")),
        ("?s a :C", {(None, TYPE, "<urn:C>")}),
        (":s ?p 'x'", {("<urn:s>", None, '"x"')}),
        ("?s :p 1, 1.0, 1e0, true, 'x'@en, '2020'^^xsd:gYear", p("p")),
        (
            "?s :p '1'^^:t, '1'^^xsd:anyURI, '1'^^xsd:string",
            {(None, "<urn:p>", f'"1"{t}') for t in ("^^<urn:t>", "^^<http://www.w3.org/2001/XMLSchema#anyURI>", "")},
        ),
        ("?s :p [ :q _:b ]", p("p", "q")),
        ("{ ?s :p ?o } UNION { ?s :q ?o } OPTIONAL { ?s :r ?o } MINUS { ?s :s ?o }", p("p", "q", "r", "s")),
        ("FILTER NOT EXISTS { ?s :p ?o } BIND(EXISTS { ?s :q ?o FILTER EXISTS { ?s :r ?o } } AS ?e)", p("p", "q", "r")),
        ("{ SELECT (COUNT(*) AS ?n) { ?s :p ?o } GROUP BY ?s HAVING (EXISTS { ?s :q ?o }) }", p("p", "q")),
        ("?s :p/^:q/(:r|:s) ?o", p("p", "q", "r", "s")),
        (":s :p/:q 'x'", {("<urn:s>", "<urn:p>", None), (None, "<urn:q>", '"x"')}),
        (":s ^:p ?o", {(None, "<urn:p>", "<urn:s>")}),
        (":s :p+ ?o", p("p")),
        (":s !:p ?o", {("<urn:s>", None, None)}),
        (":s !(:p|^:q) ?o", {("<urn:s>", None, None), (None, None, "<urn:s>")}),
        ("'x' :p ?o", set()),
    ],
)
def test_patterns(group: str, patterns: set[tuple[str | None, ...]]) -> None:
    assert seen(f"SELECT * {{ {group} }}") == patterns


@pytest.mark.parametrize(
    "group",
    [
        "?s :p* ?o",
        "?s :p? ?o",
        "?s (:p|:q*) ?o",
        "?s (:p?/:q*) ?o",
        "?s ^(:p*) ?o",
        "?s (:p?)+ ?o",
        "[] :p* []",
        "?s :p* ?o . ?o :q* ?z",
        "?a :r ?b . { SELECT * { ?a :p* ?o } }",
        "?a :r ?b . { OPTIONAL { ?a :p* ?o } }",
        "?a :r ?b . { ?x :q ?y MINUS { ?a :p* ?o } }",
        "?a :r ?b . { FILTER NOT EXISTS { ?a :p* ?o } }",
        "OPTIONAL { ?a :p* ?o } ?a :r ?b",
        "{ ?a :r ?b } UNION { ?a :p* ?o }",
        "OPTIONAL { ?a :r ?b } ?a :p* ?o",
        "?s ?a ?b . ?a :p* ?o",
        "VALUES ?a { :x } ?a :p* ?o",
    ],
)
def test_zero_length_paths_see_every_node(group: str) -> None:
    assert EVERYTHING in seen(f"SELECT * {{ {group} }}")


@pytest.mark.parametrize(
    "group",
    [
        "?s :p+ ?o",
        "?s :p*/:q ?o",
        "?a :r ?b . ?a :p* ?o",
        "?s :p* ?b . ?a :r ?b",
        "?a :r ?b . ?a :p* ?o . ?o :q* ?z",
        ":a :p* ?o . ?o :q* ?z",
        "{ ?a :p* ?o } ?a :r ?b",
        "?a :r ?b OPTIONAL { ?a :p* ?o }",
        "?a :r ?b MINUS { ?a :p* ?o }",
        "?a :r ?b FILTER NOT EXISTS { ?o :p* ?a }",
        "?a :r ?b { ?a :p* ?o } UNION { ?b :q* ?o }",
        "?a :r ?b { ?a :p* ?o OPTIONAL { ?a :q* ?z } }",
        "?a :s/:r* ?b . ?b :p* ?o",
    ],
)
def test_zero_length_paths_with_an_anchor_do_not(group: str) -> None:
    assert EVERYTHING not in seen(f"SELECT * {{ {group} }}")


def test_zero_length_paths_from_a_constant_see_whether_it_is_there() -> None:
    assert seen("SELECT * { :a :p* ?o }") == p("p") | {("<urn:a>", None, None), (None, None, "<urn:a>")}


def test_the_anchor_of_another_graph_is_none() -> None:
    plan = analyse(PREFIX + "SELECT * { ?a :r ?b GRAPH ?g { ?a :p* ?o } }")
    assert Pattern(ANY_NAMED_GRAPH) in plan.patterns


def test_the_pattern_of_construct_counts_and_its_template_does_not() -> None:
    assert seen("CONSTRUCT { ?s :t ?o } WHERE { ?s :p ?o }") == p("p")
    assert seen("CONSTRUCT WHERE { ?s :p ?o }") == p("p")


@pytest.mark.parametrize(
    ("text", "graphs", "names"),
    [
        ("GRAPH ?g { ?s :p ?o }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH :g { ?s :p ?o OPTIONAL { ?s :q ?z } }", {"urn:g"}, set()),
        ("?s :p ?o GRAPH ?g { ?s :p ?o GRAPH :h { ?s :q ?o } }", {DEFAULT_GRAPH, ANY_NAMED_GRAPH, "urn:h"}, set()),
        ("GRAPH ?g { ?s :p ?o FILTER EXISTS { ?s :q ?o } }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH ?g {}", set(), {ANY_NAMED_GRAPH}),
        ("FILTER EXISTS { GRAPH :g {} }", set(), {"urn:g"}),
        ("GRAPH ?g { OPTIONAL { ?s :p ?o } }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH ?g { { ?s :p ?o } UNION { ?s :q ?o } }", {ANY_NAMED_GRAPH}, set()),
        ("GRAPH ?g { { ?s :p ?o } UNION {} }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH :g { :s :p* ?o }", {"urn:g"}, {"urn:g"}),
        ("GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s :p ?o } }", {ANY_NAMED_GRAPH}, {ANY_NAMED_GRAPH}),
        ("GRAPH ?g { GRAPH :h { ?s :p ?o } }", {"urn:h"}, {ANY_NAMED_GRAPH}),
    ],
)
def test_graphs(text: str, graphs: set[str], names: set[str]) -> None:
    plan = analyse(f"{PREFIX} SELECT * {{ {text} }}")
    assert ({pattern.graph for pattern in plan.patterns}, set(plan.graph_names)) == (graphs, names)


def test_dataset_clauses_are_read_as_the_evaluator_reads_them() -> None:
    plan = analyse(
        "BASE <http://x/y/z> PREFIX a: <../b#> SELECT * FROM <../g?q> FROM a:c%20d FROM NAMED a:e\\.f { ?s ?p ?o }"
    )
    assert (plan.from_default, plan.from_named) == (("http://x/g?q", "http://x/b#c%20d"), ("http://x/b#e.f",))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELECT ?x {\n  ?a ?b ?c }\nLIMIT x", 3, 7),
        ("SELECT ?x { ?s ?p ?o } GROUP BY ?s", 1, 35),
        ("hello", 1, 1),
        ("", 1, 1),
        ("SELEC * { ?s ?p ?o }", 1, 1),
        ("SELECT * { ?s 'e' ?o }", 1, 15),
        ("SELECT * {\n ?s ?p ?o .\n FILTER(?o > )\n}", 3, 14),
        ("SELECT * { ?s ?p ?o } ORDER ?s", 1, 29),
        ("SELECT * { ?s ?p ?o . } }", 1, 25),
        ("SELECT * { ?s ?p ?o", 1, 20),
        ("SELECT * { GRAPH ?g { ?s ?p ?o FILTER(CONTAINS(?o 'x')) } }", 1, 51),
        ("SELECT * { SERVICE <https://a.example/> { ?s ?p ?o } FILTER }", 1, 61),
    ],
)
def test_errors_tell_where(text: str, line: int, column: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        analyse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert len(str(caught.value)) < 300


def test_what_is_no_query_is_refused() -> None:
    with pytest.raises(UpdateRefusedError):
        analyse("DELETE WHERE { ?s ?p ?o }")
    with pytest.raises(QueryRefusedError, match="SERVICE"):
        analyse("SELECT * { SERVICE ?anything {} }")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s <urn:\\u0061> ?o }",
        "SELECT * { << ?s ?p ?o >> ?q ?r }",
        "SELECT * " + "{" * 300 + "}" * 300,
    ],
)
def test_what_cannot_be_analysed_pulls_everything(text: str) -> None:
    plan = analyse(text)
    assert plan.pulls_everything
    assert set(plan.patterns) == {Pattern(DEFAULT_GRAPH), Pattern(ANY_NAMED_GRAPH)}
    assert plan.graph_names == {ANY_NAMED_GRAPH}


def test_a_constant_that_the_parsers_read_differently_is_any() -> None:
    """rdflib resolves against a base as urllib does, pyoxigraph as RFC 3986 says."""
    patterns: Iterable[Pattern] = analyse("BASE <urn:a:b> SELECT * { <#c> <urn:p> <http:d> }").patterns
    assert all(
        pattern.subject in (None, "<urn:a:b#c>") and pattern.object in (None, "<http:d>") for pattern in patterns
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


def test_path_from_a_variable_to_itself_is_more_than_its_steps() -> None:
    assert analyse("SELECT * { ?x <urn:p>+ ?y } LIMIT 2").is_sampled_whole
    assert not analyse("SELECT * { ?x <urn:p>+ ?x } LIMIT 2").is_sampled_whole


@pytest.mark.parametrize("items", [["<urn:a>"] * 50 + ["'text'@en"], ["1"] * 50, ["?x"] * 50])
def test_a_long_list_of_other_terms_narrows_nothing(items: list[str]) -> None:
    plan = analyse(f"SELECT * {{ ?s <urn:p> ?o FILTER(?o IN ({', '.join(items)})) }}")
    assert plan.bgps == ()
    assert not plan.pulls_everything


def joined(text: str) -> list[set[str]]:
    """Return the predicates of each join."""
    return [{triple[1] for triple in join.triples} for join in analyse(text).joins]


@pytest.mark.parametrize(
    ("text", "predicates"),
    [
        ("<urn:x> <urn:a> ?s OPTIONAL { ?s <urn:b>/<urn:c> ?o }", {"<urn:a>", "<urn:b>", "<urn:c>"}),
        ("?s <urn:a> ?x OPTIONAL { ?s <urn:b> ?o } VALUES ?s { <urn:x> }", {"<urn:a>", "<urn:b>"}),
        ("<urn:x> <urn:a> ?s MINUS { ?s <urn:b> ?o }", {"<urn:a>", "<urn:b>"}),
        ("FILTER NOT EXISTS { ?s <urn:b> ?o } <urn:x> <urn:a> ?s", {"<urn:a>", "<urn:b>"}),
        ("<urn:x> <urn:a> ?s OPTIONAL { { ?s <urn:b> ?o } UNION { ?s <urn:b> 1 } }", {"<urn:a>", "<urn:b>"}),
    ],
)
def test_what_is_outside_narrows_optional_subtracted_and_tested_patterns(text: str, predicates: set[str]) -> None:
    assert predicates in joined(f"SELECT * {{ {text} }}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("OPTIONAL { ?s <urn:b> ?o } <urn:x> <urn:a> ?s", id="what comes after an optional part"),
        pytest.param("<urn:x> <urn:a> ?s OPTIONAL { ?t <urn:c> ?u OPTIONAL { ?s <urn:b> ?o } }", id="two levels"),
        pytest.param(
            "?s <urn:a> ?x OPTIONAL { ?s <urn:b> ?o } VALUES ?o { 'x' }", id="a condition on the optional part"
        ),
        pytest.param("<urn:x> <urn:a> ?s OPTIONAL { SELECT * { ?s <urn:b> ?o } }", id="a sub-select"),
        pytest.param("<urn:x> <urn:a> ?s OPTIONAL { GRAPH ?g { ?s <urn:b> ?o } }", id="another graph"),
        pytest.param("<urn:x> <urn:a> ?s OPTIONAL { ?t <urn:b> ?o }", id="nothing in common"),
        pytest.param("?s <urn:a> ?x OPTIONAL { ?s <urn:b> ?o }", id="nothing narrow"),
    ],
)
def test_what_might_count_without_a_match_outside_is_pulled_whole(text: str) -> None:
    plan = analyse(f"SELECT * {{ {text} }}")
    assert not any("<urn:b>" in predicates for predicates in joined(f"SELECT * {{ {text} }}"))
    assert any(pattern.predicate == "<urn:b>" for pattern in plan.others)
