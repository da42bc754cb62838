"""The benchmark's queries: each finds something, and where it can vary no text comes twice."""

from __future__ import annotations

import pyoxigraph
import pytest

from tests.bench.federation.offerings import as_quads, as_shown, offerings, portions, words
from tests.bench.federation.queries import DEFAULT, NAMED, QUERIES, Query, Words
from tests.differential.reference import Result
from topology.rdf.offering_graph import Description

OFFERINGS = 60
MANY = 500


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    return [described for _, described in offerings(OFFERINGS)]


@pytest.fixture(scope="module")
def vocabulary(descriptions: list[Description]) -> Words:
    return words(descriptions)


@pytest.fixture(scope="module")
def store(descriptions: list[Description]) -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    for body in portions(map(as_shown, descriptions)):
        store.load(body, pyoxigraph.RdfFormat.N_QUADS)
    return store


def test_there_are_as_many_queries_as_the_target_is_about_each_with_a_name_of_its_own() -> None:
    assert len({query.name for query in QUERIES}) == len(QUERIES) == 24


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_query_finds_something(query: Query, vocabulary: Words, store: pyoxigraph.Store) -> None:
    results = [Result.of(store.query(query.variant(number, vocabulary))) for number in range(20)]
    assert any(result.graph or (result.rows and result.rows != [("false",)]) for result in results)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_query_stands_where_it_says(query: Query) -> None:
    assert query.place == (NAMED if "GRAPH" in query.template else DEFAULT)


@pytest.mark.parametrize("query", [query for query in QUERIES if query.varies], ids=lambda query: query.name)
def test_no_two_of_many_variants_are_alike(query: Query, vocabulary: Words) -> None:
    # Those that name one offering have as many as there are offerings.
    many = OFFERINGS if "$offering" in query.template else MANY
    assert len({query.variant(number, vocabulary) for number in range(many)}) == many


def test_single_store_holds_each_triple_in_its_graph_and_once_in_the_default_graph(
    descriptions: list[Description], store: pyoxigraph.Store
) -> None:
    distinct = {line for described in descriptions for line in described.triples.splitlines()}
    everywhere = sum(described.triples.count("\n") for described in descriptions)
    assert everywhere > len(distinct)  # triples stand in several graphs
    assert len(list(store.quads_for_pattern(None, None, None, pyoxigraph.DefaultGraph()))) == len(distinct)
    assert len(store) == everywhere + len(distinct)


def test_single_store_has_blank_nodes_where_nodes_have_iris_that_stand_for_them(
    descriptions: list[Description], store: pyoxigraph.Store
) -> None:
    kept = pyoxigraph.Store()
    kept.load("".join(map(as_quads, descriptions)), pyoxigraph.RdfFormat.N_QUADS)
    blank = "SELECT (COUNT(DISTINCT ?x) AS ?n) { GRAPH ?g { ?x ?p ?o FILTER isBlank(?x) } }"
    standing = blank.replace("isBlank(?x)", "STRSTARTS(STR(?x), 'https://catena.invalid/')")
    assert Result.of(store.query(blank)).rows == Result.of(kept.query(standing)).rows
    assert (
        Result.of(store.query(standing)).rows == Result.of(kept.query(blank)).rows != Result.of(store.query(blank)).rows
    )
