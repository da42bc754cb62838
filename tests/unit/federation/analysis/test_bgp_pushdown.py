"""Joins that are left to the nodes."""

from __future__ import annotations

import pytest
from rdflib import BNode, Literal, URIRef, Variable
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath
from rdflib.term import Identifier

from federation.analysis.bgp_pushdown import Triple, blocks, simple
from federation.analysis.filter_pushdown import Condition
from federation.analysis.plan import Block
from federation.analysis.portable_terms import Constants

S, X, Z = map(Variable, "soz")
P, Q, C = (URIRef(f"urn:{name}") for name in "pqC")
A = URIRef("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
CONSTANTS = Constants(frozenset({*map(str, (P, Q, C, A)), "word", "http://www.w3.org/2001/XMLSchema#string"}))


def made(*triples: Triple, conditions: tuple[Condition, ...] = ()) -> list[Block]:
    return [block for block, _ in blocks("urn:g", triples, conditions, CONSTANTS)]


def test_patterns_with_a_constant_are_joined_over_subjects() -> None:
    (block,) = made((S, A, C), (S, P, X))
    assert block.triples == (("?0", f"<{A}>", "<urn:C>"), ("?0", "<urn:p>", "?1"))
    assert block.width == 2


def test_what_nothing_narrows_is_no_block() -> None:
    assert made((S, P, X)) == []
    assert made((S, P, X), (S, Q, Z)) == []
    assert made((C, P, X)) == []


def test_what_has_no_variable_is_no_block() -> None:
    assert made((C, P, C), (C, Q, C)) == []


def test_where_literals_may_stand_nothing_is_joined() -> None:
    """``"1"`` and ``"01"`` are one value here, and two terms there."""
    assert made((S, P, X), (Z, Q, X), (S, A, C)) == made((S, P, X), (S, A, C))
    (block,) = made((S, P, X), (S, Q, X), (S, A, C))
    assert len({object_ for _, _, object_ in block.triples}) == 3


def test_an_object_that_is_a_subject_elsewhere_is_joined() -> None:
    (block,) = made((S, P, X), (X, A, C))
    assert block.triples == (("?0", "<urn:p>", "?1"), ("?1", f"<{A}>", "<urn:C>"))


def test_a_variable_may_be_a_predicate_too() -> None:
    (block,) = made((S, X, Z), (X, A, C))
    assert block.triples == (("?0", "?2", "?1"), ("?2", f"<{A}>", "<urn:C>"))


def test_parts_that_do_not_hang_together_are_blocks_of_their_own() -> None:
    other = Variable("other")
    assert len(made((S, A, C), (S, P, X), (other, A, C), (other, P, Z))) == 2


def test_a_condition_goes_with_the_pattern_of_its_variable() -> None:
    condition = Condition(frozenset({"o"}), "\0o\0 > 1")
    (block,) = made((S, P, X), conditions=(condition,))
    assert block.conditions == ("\0001\000 > 1",)
    assert made((S, P, Z), conditions=(condition,)) == []


def test_values_hold_in_each_place_of_a_variable_and_for_each_condition() -> None:
    first = Condition(frozenset({"o"}), values=frozenset({"<urn:a>", "<urn:b>"}))
    second = Condition(frozenset({"o"}), values=frozenset({"<urn:b>", "<urn:c>"}))
    (block,) = made((S, P, X), (S, Q, X), conditions=(first, second))
    assert block.values == ((1, ("<urn:b>",)), (2, ("<urn:b>",)))


def test_constants_that_servers_write_in_other_ways_are_asked_for_in_all_of_them() -> None:
    (block,) = made((S, P, Literal("word", lang="en")))
    assert block.values == ((1, ('"word"@EN', '"word"@en')),)
    number = Literal("5", datatype=URIRef("http://www.w3.org/2001/XMLSchema#integer"))
    (block,) = made((S, P, number))
    assert block.triples == (("?0", "<urn:p>", "?1"),)
    assert len(block.conditions) == 1


def test_a_constant_that_was_read_in_two_ways_is_a_variable() -> None:
    (block,) = made((S, URIRef("urn:misread"), X), (S, A, C))
    assert block.triples == (("?0", "?2", "?1"), ("?0", f"<{A}>", "<urn:C>"))


def test_many_patterns_are_not_left_to_nodes() -> None:
    assert len(made((S, A, C), *[(S, P, Variable(f"o{n}")) for n in range(29)])) == 1
    assert made((S, A, C), *[(S, P, Variable(f"o{n}")) for n in range(30)]) == []


def test_alternatives_are_values_of_the_predicate() -> None:
    (block,) = made((S, (P, Q), X), (S, A, C))
    assert block.values == ((2, ("<urn:p>", "<urn:q>")),)
    (block,) = made((S, (P, URIRef("urn:misread")), X), (S, A, C))
    assert block.values == ()


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
    assert simple(S, link, X) == triples


def test_sequences_go_through_nodes_of_their_own() -> None:
    found = simple(S, SequencePath(P, InvPath(Q), P), X)
    assert found
    (first, second, third) = found
    assert (first[0], third[2]) == (S, X)
    assert first[2] == second[2] and second[0] == third[0]
    assert isinstance(first[2], BNode) and isinstance(third[0], BNode) and first[2] != third[0]
    assert simple(S, SequencePath(P, Q), X) != simple(S, SequencePath(P, Q), X)


def test_an_inverted_sequence_is_walked_from_its_end() -> None:
    found = simple(S, InvPath(SequencePath(P, Q)), X)
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
    assert simple(S, link, X) is None
