"""Constants of queries."""

from __future__ import annotations

import pytest
import rdflib
from rdflib import BNode, Literal, URIRef, Variable
from rdflib.term import Node

from federation.analysis.portable_terms import PortableTerms
from federation.skolem import PREFIX

SKOLEM = URIRef(f"{PREFIX}0123/c14n0")
OWN = URIRef("urn:datatype")


class _All(frozenset[str]):
    """Texts of which the evaluator has read every one."""

    def __contains__(self, _: object) -> bool:
        return True


CONSTANTS = PortableTerms(_All())


@pytest.mark.parametrize(
    ("term", "written"),
    [
        (URIRef("urn:a"), "<urn:a>"),
        (URIRef("urn:é"), "<urn:é>"),
        (Literal('a"b\n\\'), '"a\\"b\\n\\\\"'),
        (Literal(""), '""'),
        (Literal("a", datatype=rdflib.XSD.string), '"a"'),
        (Literal("a", datatype=rdflib.XSD.anyURI), '"a"^^<http://www.w3.org/2001/XMLSchema#anyURI>'),
        (Literal("a", datatype=OWN), '"a"^^<urn:datatype>'),
    ],
)
def test_terms_that_all_nodes_know_by_one_name(term: Node, written: str) -> None:
    assert CONSTANTS.term(term) == written


@pytest.mark.parametrize(
    "term",
    [
        Variable("x"),
        BNode("b0"),
        Literal("1", datatype=rdflib.XSD.integer),
        Literal("01", datatype=rdflib.XSD.integer),
        Literal("1.0", datatype=rdflib.XSD.double),
        Literal("true", datatype=rdflib.XSD.boolean),
        Literal("2020-01-01", datatype=rdflib.XSD.date),
        Literal("P1D", datatype=rdflib.XSD.duration),
        Literal("a", lang="en"),
        None,
    ],
)
def test_what_may_match_several_terms_is_none(term: Node | None) -> None:
    assert CONSTANTS.term(term) is None
    assert CONSTANTS.iri(term) is None
    assert CONSTANTS.string(term) is None


def test_nothing_is_said_of_what_the_parsers_read_differently() -> None:
    constants = PortableTerms(frozenset({"urn:a", "a"}))
    assert (
        constants.term(URIRef("urn:a")) and constants.term(Literal("a")) and constants.in_languages(Literal("a", "en"))
    )
    assert constants.term(URIRef("urn:b")) is None
    assert constants.string(Literal("b")) is None
    assert constants.term(Literal("a", datatype=OWN)) is None
    assert constants.in_languages(Literal("b", "en")) == ()


def test_an_iri_that_stands_for_a_blank_node_is_a_term_to_match_and_none_to_compare_with() -> None:
    assert CONSTANTS.term(SKOLEM) == f"<{SKOLEM}>"
    assert CONSTANTS.iri(SKOLEM) is None


def test_only_plain_literals_are_strings() -> None:
    assert CONSTANTS.string(Literal("a")) == CONSTANTS.string(Literal("a", datatype=rdflib.XSD.string)) == '"a"'
    assert CONSTANTS.string(URIRef("urn:a")) is None
    assert CONSTANTS.string(Literal("a", datatype=rdflib.XSD.anyURI)) is None


@pytest.mark.parametrize("text", ["0", "-1", "12", "1.5", "-0.001", "9" * 15])
def test_numbers_that_every_server_compares_alike(text: str) -> None:
    datatype = rdflib.XSD.decimal if "." in text else rdflib.XSD.integer
    assert CONSTANTS.number(Literal(text, datatype=datatype)) == f'"{text}"^^<{datatype}>'


@pytest.mark.parametrize(
    "term",
    [
        Literal("9" * 16, datatype=rdflib.XSD.integer),
        Literal("0." + "1" * 16, datatype=rdflib.XSD.decimal),
        Literal("1e3", datatype=rdflib.XSD.double),
        Literal("x", datatype=rdflib.XSD.integer),
        Literal("1) } #", datatype=rdflib.XSD.integer),
        Literal("1"),
        URIRef("urn:1"),
        Variable("x"),
    ],
)
def test_other_numbers_are_not_compared_by_nodes(term: Node) -> None:
    assert CONSTANTS.number(term) is None


@pytest.mark.parametrize(
    ("tag", "forms"),
    [
        ("en", {"en", "EN"}),
        ("EN", {"en", "EN"}),
        ("en-GB", {"en-GB", "en-gb", "EN-GB"}),
        ("en-gb", {"en-GB", "en-gb", "EN-GB"}),
        ("eN-gB", {"en-GB", "en-gb", "EN-GB", "eN-gB"}),
        ("zh-hant-tw", {"zh-hant-tw", "ZH-HANT-TW", "zh-Hant-TW"}),
        ("de-1996", {"de-1996", "DE-1996"}),
        ("en-x-ab", {"en-x-ab", "EN-X-AB"}),
    ],
)
def test_languages_in_all_the_ways_in_which_servers_write_them(tag: str, forms: set[str]) -> None:
    # rdflib writes tags in small letters.
    found = CONSTANTS.in_languages(Literal('a"', lang=tag))
    assert {form.removeprefix('"a\\""@') for form in found} >= {form for form in forms if form != tag}
    assert len(found) == len(set(found))


def test_what_has_no_language_has_no_such_forms() -> None:
    for term in (Literal("a"), URIRef("urn:a"), Variable("x")):
        assert CONSTANTS.in_languages(term) == ()
