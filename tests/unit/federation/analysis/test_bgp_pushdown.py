"""Joins that are left to the nodes."""

from __future__ import annotations

import pytest
from rdflib import BNode, Literal, URIRef, Variable
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath
from rdflib.term import Identifier

from federation.analysis.bgp_pushdown import Triple, as_triples, pushed_bgps
from federation.analysis.filter_pushdown import PushedFilter
from federation.analysis.plan import PushedBGP
from federation.analysis.portable_terms import PortableTerms

S, X, Z = map(Variable, "soz")
P, Q, C = (URIRef(f"urn:{name}") for name in "pqC")
A = URIRef("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
CONSTANTS = PortableTerms(frozenset({*map(str, (P, Q, C, A)), "word", "http://www.w3.org/2001/XMLSchema#string"}))


def made(*triples: Triple, filters: tuple[PushedFilter, ...] = ()) -> list[PushedBGP]:
    return [bgp for bgp, _ in pushed_bgps("urn:g", triples, filters, CONSTANTS)]


def test_patterns_with_a_constant_are_joined_over_subjects() -> None:
    (bgp,) = made((S, A, C), (S, P, X))
    assert bgp.triples == (("?0", f"<{A}>", "<urn:C>"), ("?0", "<urn:p>", "?1"))
    assert bgp.width == 2


def test_what_nothing_narrows_is_no_block() -> None:
    assert made((S, P, X)) == []
    assert made((S, P, X), (S, Q, Z)) == []
    assert made((C, P, X)) == []


def test_what_has_no_variable_is_no_block() -> None:
    assert made((C, P, C), (C, Q, C)) == []


def test_where_literals_may_stand_nothing_is_joined() -> None:
    """``"1"`` and ``"01"`` are one value here, and two terms there."""
    assert made((S, P, X), (Z, Q, X), (S, A, C)) == made((S, P, X), (S, A, C))
    (bgp,) = made((S, P, X), (S, Q, X), (S, A, C))
    assert len({object_ for _, _, object_ in bgp.triples}) == 3


def test_an_object_that_is_a_subject_elsewhere_is_joined() -> None:
    (bgp,) = made((S, P, X), (X, A, C))
    assert bgp.triples == (("?0", "<urn:p>", "?1"), ("?1", f"<{A}>", "<urn:C>"))


def test_a_variable_may_be_a_predicate_too() -> None:
    (bgp,) = made((S, X, Z), (X, A, C))
    assert bgp.triples == (("?0", "?2", "?1"), ("?2", f"<{A}>", "<urn:C>"))


def test_parts_that_do_not_hang_together_are_blocks_of_their_own() -> None:
    other = Variable("other")
    assert len(made((S, A, C), (S, P, X), (other, A, C), (other, P, Z))) == 2


def test_a_condition_goes_with_the_pattern_of_its_variable() -> None:
    pushed_filter = PushedFilter(frozenset({"o"}), "\0o\0 > 1")
    (bgp,) = made((S, P, X), filters=(pushed_filter,))
    assert bgp.filters == ("\0001\000 > 1",)
    assert made((S, P, Z), filters=(pushed_filter,)) == []


def test_values_hold_in_each_place_of_a_variable_and_for_each_condition() -> None:
    first = PushedFilter(frozenset({"o"}), values=frozenset({"<urn:a>", "<urn:b>"}))
    second = PushedFilter(frozenset({"o"}), values=frozenset({"<urn:b>", "<urn:c>"}))
    (bgp,) = made((S, P, X), (S, Q, X), filters=(first, second))
    assert bgp.values == ((1, ("<urn:b>",)), (2, ("<urn:b>",)))


def test_constants_that_servers_write_in_other_ways_are_asked_for_in_all_of_them() -> None:
    (bgp,) = made((S, P, Literal("word", lang="en")))
    assert bgp.values == ((1, ('"word"@EN', '"word"@en')),)
    number = Literal("5", datatype=URIRef("http://www.w3.org/2001/XMLSchema#integer"))
    (bgp,) = made((S, P, number))
    assert bgp.triples == (("?0", "<urn:p>", "?1"),)
    assert len(bgp.filters) == 1


def test_a_constant_that_was_read_in_two_ways_is_a_variable() -> None:
    (bgp,) = made((S, URIRef("urn:misread"), X), (S, A, C))
    assert bgp.triples == (("?0", "?2", "?1"), ("?0", f"<{A}>", "<urn:C>"))


def test_many_patterns_are_not_left_to_nodes() -> None:
    assert len(made((S, A, C), *[(S, P, Variable(f"o{n}")) for n in range(29)])) == 1
    assert made((S, A, C), *[(S, P, Variable(f"o{n}")) for n in range(30)]) == []


def test_alternatives_are_values_of_the_predicate() -> None:
    (bgp,) = made((S, (P, Q), X), (S, A, C))
    assert bgp.values == ((2, ("<urn:p>", "<urn:q>")),)
    (bgp,) = made((S, (P, URIRef("urn:misread")), X), (S, A, C))
    assert bgp.values == ()


@pytest.mark.parametrize(
    ("link", "triples"),
    [
        (P, [(S, P, X)]),
        (Z, [(S, Z, X)]),
        (InvPath(P), [(X, P, S)]),
        (InvPath(InvPath(P)), [(S, P, X)]),
        (AlternativePath(P, Q), [(S, (P, Q), X)]),
        (InvPath(AlternativePath(P, Q)), [(X, (P, Q), S)]),
    ],
)
def test_paths_that_are_patterns(link: Identifier | Path, triples: list[Triple]) -> None:
    assert as_triples(S, link, X) == triples


def test_sequences_go_through_nodes_of_their_own() -> None:
    found = as_triples(S, SequencePath(P, InvPath(Q), P), X)
    assert found
    (first, second, third) = found
    assert (first[0], third[2]) == (S, X)
    assert first[2] == second[2] and second[0] == third[0]
    assert isinstance(first[2], BNode) and isinstance(third[0], BNode) and first[2] != third[0]
    assert as_triples(S, SequencePath(P, Q), X) != as_triples(S, SequencePath(P, Q), X)


def test_an_inverted_sequence_is_walked_from_its_end() -> None:
    found = as_triples(S, InvPath(SequencePath(P, Q)), X)
    assert found
    (first, second) = found
    assert (first[0], first[1], second[1], second[2]) == (X, P, Q, S)
    assert first[2] == second[0]


@pytest.mark.parametrize(
    "link",
    [
        MulPath(P, "*"),
        MulPath(P, "+"),
        MulPath(P, "?"),
        NegatedPath(P),
        SequencePath(P, MulPath(Q, "*")),
        InvPath(MulPath(P, "?")),
        AlternativePath(P, InvPath(Q)),
        AlternativePath(P, SequencePath(P, Q)),
    ],
)
def test_paths_that_are_none(link: Path) -> None:
    assert as_triples(S, link, X) is None
