"""A graph and its copy on a store that keeps literals by value have one digest, and no other graph has it."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from topology.rdf.by_value import digest_by_value
from topology.rdf.offering_graph import digest, sorted_text

XSD = "http://www.w3.org/2001/XMLSchema#"


def graph(*objects: str) -> str:
    return "".join(sorted(f"<urn:s> <urn:p> {one} .\n" for one in objects))


def typed(lexical: str, datatype: str) -> str:
    return f'"{lexical}"^^<{XSD}{datatype}>'


def as_stored(triples: str) -> str:
    store = ox.Store()
    store.load(triples.encode(), format=ox.RdfFormat.N_TRIPLES)
    return sorted_text(quad.triple for quad in store)


@pytest.mark.parametrize(
    "objects",
    [
        [typed("0.9580", "decimal")],
        [typed("1.0", "decimal"), typed("1.00", "decimal")],
        [typed("007", "integer"), typed("1e3", "double"), typed("1.50", "float")],
        [typed("1", "boolean"), typed("2026-01-01T00:00:00.000+00:00", "dateTime")],
        [typed("not a number", "decimal"), '"0.9580"', '"0.9580"@en', r'"a \"1.0\"^^<http://x.example/>"'],
    ],
)
def test_digest_by_value_is_that_of_the_graph_as_a_store_gives_it_back(objects: list[str]) -> None:
    assert digest_by_value(graph(*objects)) == digest_by_value(as_stored(graph(*objects)))


def test_digest_by_value_of_other_values_and_of_text_is_another() -> None:
    assert digest_by_value(graph(typed("0.958", "decimal"))) != digest_by_value(graph(typed("0.959", "decimal")))
    assert digest_by_value(graph('"0.9580"')) != digest_by_value(graph('"0.958"'))
    assert digest_by_value(graph(typed("1", "decimal"))) != digest_by_value(graph(typed("1", "integer")))


def test_digest_by_value_of_a_graph_without_numbers_is_its_digest() -> None:
    text = graph('"a"', '"b"@en', "<urn:o>")

    assert digest_by_value(text) == digest(text)
