"""The patterns of a query: the quads on which its answer depends, and the ways to fetch fewer."""

from __future__ import annotations

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern

PREFIX = "PREFIX : <urn:> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "
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


@pytest.mark.parametrize(
    ("group", "names", "graphs"),
    [
        ("GRAPH ?g { ?s :p ?o } FILTER(?g = :g)", set(), {"urn:g"}),
        ("GRAPH ?g { ?s :p ?o } FILTER(?g IN (:g, :h))", set(), {"urn:g", "urn:h"}),
        ("GRAPH ?g { ?s :p ?o } VALUES ?g { :g :h } FILTER(?g IN (:h, :i))", set(), {"urn:h"}),
        ("GRAPH ?g {} FILTER(?g = :g)", {"urn:g"}, set()),
        ("GRAPH ?g { ?s :p ?o } FILTER(?g = 'no graph')", set(), set()),
        ("GRAPH ?g { ?s :p ?o } FILTER(?s = :g)", set(), {ANY_NAMED_GRAPH}),
        ("OPTIONAL { GRAPH ?g { ?s :p ?o } } FILTER(?g = :g)", set(), {ANY_NAMED_GRAPH}),
        (f"GRAPH ?g {{ ?s :p ?o }} FILTER(?g IN ({', '.join(f':g{n}' for n in range(51))}))", set(), {ANY_NAMED_GRAPH}),
    ],
)
def test_only_the_graphs_that_filters_leave_are_looked_into(group: str, names: set[str], graphs: set[str]) -> None:
    plan = analyse(f"{PREFIX} SELECT * {{ {group} }}")
    assert (plan.graph_names, {pattern.graph for pattern in plan.patterns}) == (names, graphs)


@pytest.mark.parametrize(
    ("group", "walk"),
    [
        (":a :p+ ?o", (DEFAULT_GRAPH, ["p"], [])),
        ("?s :p+ :a", (DEFAULT_GRAPH, [], ["p"])),
        (":a ^:p+ :b", (DEFAULT_GRAPH, [], ["p"])),
        (":a (:p/^:q)* ?o", (DEFAULT_GRAPH, ["p"], ["q"])),
        ("?s (:p|^:q)+ :a", (DEFAULT_GRAPH, ["q"], ["p"])),
        (":a :p/:q*/:r ?o", (DEFAULT_GRAPH, ["p", "q", "r"], [])),
        (":a (:p|^:p)? ?o", (DEFAULT_GRAPH, ["p"], ["p"])),
        ("GRAPH :g { :a :p+ ?o }", ("urn:g", ["p"], [])),
        ("GRAPH ?g { :a :p+ ?o }", (ANY_NAMED_GRAPH, ["p"], [])),
    ],
)
def test_path_of_any_length_is_followed_from_its_constant(group: str, walk: tuple[str, list[str], list[str]]) -> None:
    plan = analyse(f"{PREFIX} SELECT * {{ {group} }}")
    [found] = plan.walks
    assert found.start == "<urn:a>"
    graph, forward, backward = walk
    assert (found.graph, list(found.forward), list(found.backward)) == (
        graph,
        [f"<urn:{name}>" for name in forward],
        [f"<urn:{name}>" for name in backward],
    )
    assert not [pattern for pattern in plan.others if pattern.predicate is not None], "its triples come with the walk"


@pytest.mark.parametrize(
    "group",
    [
        pytest.param("?s :p+ ?o", id="no constant"),
        pytest.param(":a :p/:q ?o", id="a length that is known"),
        pytest.param(":a !:p ?o", id="any predicate but one"),
        pytest.param(":a (:p|!:q)* ?o", id="any predicate but one at some step"),
        pytest.param("'x' :p* ?o", id="a literal, which nodes may write otherwise"),
        pytest.param("OPTIONAL { SERVICE :s { :a :p+ ?o } }", id="another server follows it"),
    ],
)
def test_path_that_cannot_be_followed_from_a_constant_is_no_walk(group: str) -> None:
    assert analyse(f"{PREFIX} SELECT * {{ {group} }}").walks == ()


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("SELECT * { :a :p* ?o }", ["<urn:a>"]),
        ("SELECT * { ?s :p* 'x' }", ['"x"']),
        ("SELECT * { :a :p? 'x' }", ['"x"', "<urn:a>"]),
        ("SELECT * { :a :p+ ?o }", []),
        ("SELECT * { :a :p* ?o . ?s ?any ?z }", []),
        ("SELECT * { :a :p* ?o . ?s :p* ?z }", []),
        ("SELECT * { :a (:p|!:q)* ?o }", []),
        ("DESCRIBE ?o { :a :p* ?o }", []),
    ],
)
def test_constants_with_a_zero_length_path_are_told_where_no_pattern_sees_any_triple(
    query: str, ends: list[str]
) -> None:
    assert list(analyse(PREFIX + query).path_ends) == ends


def test_patterns_that_another_server_matches_are_not_looked_for() -> None:
    plan = analyse(f"{PREFIX} SELECT * {{ SERVICE :server {{ ?s :p ?o }} ?s :q ?o }}")
    assert plan.patterns == (Pattern(DEFAULT_GRAPH, predicate="<urn:q>"),)
    assert plan.services == ("urn:server",)


@pytest.mark.parametrize(
    ("query", "samples"),
    [
        ("SELECT * { ?s :p ?o } LIMIT 3", [["p"]]),
        ("ASK { ?s :p ?o }", [["p"]]),
        ("SELECT * { ?s :p/:q ?o } LIMIT 3", [["p", "q"]]),
        ("SELECT * { ?s :p+ ?o } LIMIT 3", [["p"]]),
        ("SELECT * { { ?s :p ?o } UNION { ?s :q ?o } } LIMIT 3", [["p"], ["q"]]),
        ("SELECT * { ?s :p ?o . ?a :q ?b } LIMIT 3", [["p"], ["q"]]),
        ("SELECT * { ?s :p ?o OPTIONAL { ?s :q ?z } } LIMIT 3", []),
        ("SELECT * { ?s :p ?o MINUS { ?s :q ?z } } LIMIT 3", []),
        ("SELECT * { ?s :p ?o } ORDER BY ?o LIMIT 3", []),
        ("SELECT * { :a :p :b } LIMIT 3", []),
        (f"SELECT * {{ {' . '.join(f'?s :p ?o{n}' for n in range(31))} }} LIMIT 3", []),
        (f"SELECT * {{ {{ {' . '.join(f'?s :p ?o{n}' for n in range(31))} }} UNION {{ ?s :q ?o }} }} LIMIT 3", []),
    ],
)
def test_samples_are_of_queries_of_which_some_solutions_over_some_quads_are_right(
    query: str, samples: list[list[str]]
) -> None:
    found = analyse(PREFIX + query).samples
    assert [[predicate for _, predicate, _ in bgp.triples] for bgp in found] == [
        [f"<urn:{name}>" for name in names] for names in samples
    ]


@pytest.mark.parametrize(
    ("query", "variable"),
    [
        ("SELECT * { ?s :p ?o OPTIONAL { ?z :q ?s } } LIMIT 3", "s"),
        ("SELECT * { ?s :p ?o MINUS { ?z :q ?s } } LIMIT 3", "s"),
        ("SELECT * { ?s :p ?o FILTER NOT EXISTS { ?z :q ?o } } LIMIT 3", "s"),
        ("SELECT * { ?s :p ?o } LIMIT 3", None),
        ("SELECT * { :s :p ?o OPTIONAL { ?o :q ?z } } LIMIT 3", None),
        ("SELECT * { OPTIONAL { ?s :p ?o } } LIMIT 3", None),
        ("SELECT * { FILTER NOT EXISTS { ?s :p ?o } } LIMIT 3", None),
    ],
)
def test_seed_is_a_subject_outside_of_what_is_optional_subtracted_or_tested(query: str, variable: str | None) -> None:
    seed = analyse(PREFIX + query).seed
    assert (seed.variable if seed else None) == variable
    if seed:
        assert seed.bgp.triples[0][0] == f"?{seed.number}"


def test_patterns_of_a_sub_select_are_not_narrowed_from_outside() -> None:
    plan = analyse(PREFIX + "SELECT * { ?s a :C { SELECT * { ?s :p ?o } LIMIT 1 } }")
    assert Pattern(DEFAULT_GRAPH, predicate="<urn:p>") in plan.others
