"""Documents from strangers: parsed within bounds."""

from __future__ import annotations

import pytest
from pyoxigraph import BlankNode, RdfFormat

from sandbox.made_up_offerings import generate
from sandbox.rdf import MAXIMUM_NESTING, SMALL, DocumentIndex, is_quick, parse_bounded


def nested(depth: int) -> bytes:
    return b'{"https://x.example/p":' * depth + b'"x"' + b"}" * depth


def test_nesting_up_to_the_bound_is_parsed() -> None:
    assert len(parse_bounded(nested(MAXIMUM_NESTING), RdfFormat.JSON_LD)) == MAXIMUM_NESTING


@pytest.mark.parametrize(
    "document",
    [
        nested(MAXIMUM_NESTING + 1),
        nested(500_000),
        b'{"@context":{' + b'"a":{"@id":"a:a","@context":{' * 5000 + b"}}" * 5000 + b'},"a":1}',
        b'{"a":"' + b'\\"' * 500_000,
    ],
)
def test_what_would_overwhelm_the_parser_is_refused(document: bytes) -> None:
    with pytest.raises(SyntaxError):
        parse_bounded(document, RdfFormat.JSON_LD)


def test_nested_triple_terms_are_refused() -> None:
    depth = 100_000
    document = b"<a:a> <a:a> " + b"<<( <a:a> <a:a> " * depth + b"<a:a>" + b" )>>" * depth + b" ."
    with pytest.raises(SyntaxError, match="nests deeper"):
        parse_bounded(document, RdfFormat.N_TRIPLES)


def test_many_brackets_side_by_side_or_in_strings_are_no_nesting() -> None:
    side_by_side = b'{"https://x.example/p":[' + b",".join([b'{"https://x.example/q":"{[{[\\"{["}'] * 1000) + b"]}"
    assert len(parse_bounded(side_by_side, RdfFormat.JSON_LD)) == 2000


def test_remote_contexts_are_not_fetched() -> None:
    with pytest.raises(SyntaxError, match="remote context"):
        parse_bounded(b'{"@context": "https://x.example/context", "p": "x"}', RdfFormat.JSON_LD)


def test_blank_nodes_of_two_documents_never_meet() -> None:
    document = b"_:same <https://x.example/p> _:same ."
    first, second = (parse_bounded(document, RdfFormat.N_TRIPLES) for _ in range(2))
    assert first[0].subject == first[0].object
    assert first[0].subject != second[0].subject


def test_reachability_ends_in_circles_and_may_stop_at_blank_nodes() -> None:
    turtle = b"""
        @prefix s: <https://w3id.org/sedimark/ontology#> . @prefix x: <https://x.example/> .
        x:o a s:Offering ; x:p x:a, [ x:q x:b ] . x:a x:p x:o , x:a . x:b x:p "reached through a blank node" .
        x:elsewhere x:p x:o . [] a s:Offering .
    """
    description = DocumentIndex(parse_bounded(turtle, RdfFormat.TURTLE))
    (offering,) = description.offerings
    everything = description.reachable(offering)
    assert len(everything) == len(set(everything)) == 7
    without = description.reachable(offering, follow_blank_nodes=False)
    assert len(without) == 5
    assert sum(isinstance(value, BlankNode) for _, _, value in without) == 1


def test_offerings_are_quick_to_parse() -> None:
    assert all(is_quick(offering.description, RdfFormat.JSON_LD) for offering in generate(100))


@pytest.mark.parametrize(
    ("document", "rdf_format"),
    [
        (b'{"@context": {"p": {"@id": "a:p", "@context": {}}}}', RdfFormat.JSON_LD),
        (b'{"@context": {"p": {"@id": "a:p", "@cont\\u0065xt": {}}}}', RdfFormat.JSON_LD),
        (b" " * (SMALL + 1), RdfFormat.TURTLE),
    ],
)
def test_what_may_take_long_to_parse_is_not_quick(document: bytes, rdf_format: RdfFormat) -> None:
    assert not is_quick(document, rdf_format)
