"""Queries without their parameters: the plan of a template, with the words put back, is the plan of the query."""

from __future__ import annotations

import msgspec
import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import Plan, PushedBGP
from federation.analysis.query_template import template_of, with_parameters
from federation.errors import QuerySyntaxError
from federation.skolem import PREFIX
from tests.differential.queries import DATASETS, PROLOGUE, QUERIES

ALIKE = [
    'SELECT * { GRAPH ?g { ?o <urn:x:title> ?t FILTER(CONTAINS(LCASE(?t), "water")) } } LIMIT 10 OFFSET 20',
    'SELECT * { GRAPH ?g { ?o <urn:x:title> ?t FILTER(CONTAINS(LCASE(?t), "traffic")) } } LIMIT 5 OFFSET 0',
]
ODD = [
    'SELECT * { ?o <urn:x:title> ?t FILTER(REGEX(?t, "a.*b", "i")) }',
    'SELECT * { ?o <urn:x:title> ?t FILTER(REGEX(?t, "brook", "i")) }',
    'SELECT * { ?o <urn:x:title> ?t FILTER(REGEX(?t, "water", "i")) }',
    'SELECT * { ?o <urn:x:title> ?t FILTER(REGEX(?t, "basis")) }',
    'SELECT * { ?o <urn:x:title> "water"@en , "Wasser"@de-AT , "001"^^<http://www.w3.org/2001/XMLSchema#integer> }',
    'SELECT * { ?o <urn:x:title> """long\nstring""" , \'it\\u0027s\' , "né {0} %s \\"q\\"" }',
    "SELECT * { <https://example.org/offering/1> ?p ?o . ?o ?q <https://example.org/offering/1> }",
    f"SELECT * {{ <{PREFIX}0123/c14n0> ?p ?o }}",
    "SELECT * FROM <https://example.org/g/1> { GRAPH <https://example.org/g/2> { ?s ?p ?o } }",
    "PREFIX e: <https://example.org/> SELECT * { ?x ?p ?n FILTER(?x = e:a) FILTER(?x = <https://example.org/a>) }",
    "PREFIX e: <urn:e:> SELECT * { VALUES ?g { e:g } GRAPH ?g { ?x ?p ?y } FILTER(?g = <urn:e:g>) }",
    "SELECT * { ?x ?p ?n FILTER(<http://www.w3.org/2001/XMLSchema#integer>(?n) = 1) }",
    "SELECT * { ?x ?p 'water' , \"w\\u0061ter\" FILTER(?x = <https://example.org/\\u0061>) }",
    "DESCRIBE ?o { ?o <urn:x:title> 'water' } ORDER BY ?o LIMIT 7",
    'SELECT (GROUP_CONCAT(?t; SEPARATOR=" and ") AS ?all) { ?o <urn:x:title> ?t } GROUP BY ?o',
]


def comparable(plan: Plan) -> Plan:
    """Return the plan, sorted: its order may follow from the parameters."""

    def in_order(bgps: tuple[PushedBGP, ...]) -> tuple[PushedBGP, ...]:
        ordered = [
            msgspec.structs.replace(
                bgp,
                values=tuple((number, tuple(sorted(terms))) for number, terms in bgp.values),
                filters=tuple(sorted(bgp.filters)),
            )
            for bgp in bgps
        ]
        return tuple(sorted(ordered, key=str))

    return msgspec.structs.replace(
        plan,
        patterns=tuple(sorted(plan.patterns, key=str)),
        others=tuple(sorted(plan.others, key=str)),
        bgps=in_order(plan.bgps),
        joins=in_order(plan.joins),
    )


@pytest.mark.parametrize("text", [*ODD, *ALIKE, *QUERIES.values(), *(text for text, _, _ in DATASETS.values())])
def test_a_shape_has_the_plan_of_its_query(text: str) -> None:
    text = PROLOGUE + text
    template = template_of(text)
    plan = with_parameters(analyse(template.text), template.parameters)
    if plan.form == "DESCRIBE":  # words that were quoted in another way are quoted so now
        plan = msgspec.structs.replace(plan, resources=analyse(text).resources)
    assert comparable(plan) == comparable(analyse(text))


def test_other_words_have_the_same_shape() -> None:
    assert template_of(ALIKE[0]).text == template_of(ALIKE[1]).text
    assert set(template_of(ALIKE[0]).parameters.values()) == {"urn:x:title", "water"}


def test_words_that_filters_take_in_other_ways_have_other_shapes() -> None:
    assert len({template_of(text).text for text in ODD[:3]}) == 3


def test_an_address_before_a_path_in_brackets_is_no_function() -> None:
    assert template_of("ASK { <https://a.example/1> (<urn:x:p>|<urn:x:q>)* ?x }").parameters
    assert not template_of("ASK { ?s ?p ?o FILTER(<https://a.example/f>(?o)) }").parameters


def test_a_query_that_uses_stand_ins_keeps_its_words() -> None:
    stand_in = next(iter(template_of(ALIKE[0]).parameters))
    text = ALIKE[0].replace("?o", f"'{stand_in}'", 1)
    assert template_of(text).parameters == {} or stand_in not in template_of(text).parameters


def test_limits_of_described_resources_stay() -> None:
    assert "LIMIT 7" in template_of(ODD[-2]).text


def test_a_number_beyond_the_evaluators_stays_for_its_parser_to_refuse() -> None:
    text = f"SELECT * {{ ?s ?p ?o }} LIMIT {10**20}"
    assert str(10**20) in template_of(text).text
    with pytest.raises(QuerySyntaxError):
        analyse(template_of(text).text)
