"""The variables that a query does not look at."""

from __future__ import annotations

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import PushedBGP


def whole(text: str) -> PushedBGP | None:
    """Return the basic graph pattern of which nodes send only some terms; ``None`` where they send all."""
    plan = analyse(f"PREFIX : <urn:> {text}")
    is_whole = len(plan.bgps) == 1 and not (plan.joins or plan.others or plan.walks)
    return plan.bgps[0] if is_whole and plan.bgps[0].hidden else None


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("SELECT DISTINCT ?p { ?s ?p ?o }", 2),
        ("SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }", 3),
        ("SELECT DISTINCT ?t { GRAPH ?g { ?s a ?t } } ORDER BY ?t LIMIT 5", 1),
        ("SELECT (COUNT(DISTINCT ?t) AS ?n) { GRAPH ?g { ?s a ?t } }", 1),
        ("SELECT ?t (COUNT(DISTINCT ?s) AS ?n) { GRAPH ?g { ?s :p/:q ?t } } GROUP BY ?t HAVING(MAX(?s) > 1)", 1),
        ("SELECT ?t (MIN(?o) AS ?n) { ?s ?t ?o } GROUP BY ?t", 1),
        ("SELECT ?t { ?s ?t ?o } GROUP BY ?t", 2),
        ("SELECT DISTINCT ?t { GRAPH ?g { ?s a ?t FILTER(?t != :x) } FILTER(?g != :y) }", 1),
        ("SELECT DISTINCT ?t { [] a ?t BIND(STR(?t) AS ?x) } VALUES ?t { :x :y }", 1),
        ("SELECT DISTINCT ?g { GRAPH ?g { ?g ?p ?o } }", 2),
        ("SELECT DISTINCT ?o { GRAPH :g { ?s ^:p|:q ?o } }", 0),
        ("SELECT DISTINCT ?o { GRAPH :g { ?s (:p|:q)/:r ?o } }", 2),
    ],
)
def test_terms_are_left_out_that_change_no_answer(text: str, hidden: int) -> None:
    found = whole(text)
    assert (len(found.hidden) if found else 0) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ?p { ?s ?p ?o }",
        "SELECT DISTINCT * { ?s ?p ?o }",
        "SELECT REDUCED ?p { ?s ?p ?o }",
        "SELECT DISTINCT ?s ?p ?o { ?s ?p ?o }",
        "SELECT DISTINCT (BNODE() AS ?b) { ?s ?p ?o }",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }",
        "SELECT (COUNT(DISTINCT *) AS ?n) { GRAPH ?g { ?s ?p ?o } }",
        "SELECT (COUNT(DISTINCT ?s) AS ?n) (SUM(?o) AS ?m) { GRAPH ?g { ?s ?p ?o } }",
        "SELECT DISTINCT ?p { ?s ?p ?o OPTIONAL { ?o ?q ?r } }",
        "SELECT DISTINCT ?p { { ?s ?p ?o } UNION { ?o ?p ?s } }",
        "SELECT DISTINCT ?p { ?s ?p ?o FILTER NOT EXISTS { ?s :q ?p } }",
        "SELECT DISTINCT ?p { ?s ?p ?o MINUS { ?s :q ?p } }",
        "SELECT DISTINCT ?p { SELECT ?p { ?s ?p ?o } LIMIT 5 }",
        "SELECT DISTINCT ?p { { SELECT ?p { ?s ?p ?o } LIMIT 5 } }",
        "SELECT DISTINCT ?o { ?s :p* ?o }",
        "SELECT DISTINCT ?o { ?s :p ?x . ?x :q ?o }",
        "SELECT DISTINCT ?o { GRAPH ?g { ?s :p ?o } GRAPH ?h { ?s :q ?r } }",
        "SELECT DISTINCT ?o { GRAPH ?g { ?s :p ?o } ?s :q ?r }",
        "SELECT DISTINCT ?o { GRAPH ?g { ?s :p ?x . ?r :q ?x ; :r ?o } }",
        "CONSTRUCT { [] :p ?p } { ?s ?p ?o }",
        "ASK { ?s ?p ?o }",
    ],
)
def test_all_terms_are_wanted_where_solutions_are_counted_or_others_join_them(text: str) -> None:
    assert whole(text) is None
