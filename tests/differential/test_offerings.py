"""What marketplace pages ask, over offerings as the fetcher keeps them, against one store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyoxigraph
import pytest

from federation.engine import Engine
from federation.source_selection import Snapshot, Source
from sandbox.made_up_offerings import generate, load
from tests.differential.reference import Reference, Result
from tests.helpers.sparql_node import Node, running_nodes
from topology.rdf.offering_graph import read_description

EXAMPLES = Path(__file__).parents[2].parent / "shared" / "data" / "offerings_100.jsonld"
SANDBOX_OFFERINGS = 30
PROLOGUE = """PREFIX sedimark: <https://w3id.org/sedimark/ontology#> PREFIX dct: <http://purl.org/dc/terms/>
PREFIX dcat: <http://www.w3.org/ns/dcat#> PREFIX schema: <https://schema.org/> PREFIX odrl: <http://www.w3.org/ns/odrl/2/>
"""
QUERIES = {
    "search": """SELECT DISTINCT ?g ?title WHERE { GRAPH ?g { ?o a sedimark:Offering ; dct:title ?title ; dct:description ?d
        FILTER(CONTAINS(LCASE(?title), "data") || CONTAINS(LCASE(?d), "building")) } } ORDER BY ?title ?g LIMIT 20 OFFSET 2""",
    "number of offerings": "SELECT (COUNT(DISTINCT ?o) AS ?n) WHERE { GRAPH ?g { ?o a sedimark:Offering } }",
    "number of triples": "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    "by keyword": "SELECT ?k (COUNT(DISTINCT ?a) AS ?n) { ?a dcat:keyword ?k } GROUP BY ?k HAVING (COUNT(?a) > 1)",
    "keywords": "SELECT DISTINCT ?k { GRAPH ?g { ?a dcat:keyword ?k } } ORDER BY ?k",
    "providers": "SELECT ?p (COUNT(?o) AS ?n) { ?o sedimark:isListedBy/sedimark:belongsTo ?p } GROUP BY ?p",
    "details": """SELECT ?o (GROUP_CONCAT(DISTINCT ?k; SEPARATOR="|") AS ?one) { ?o a sedimark:Offering ; sedimark:hasAsset ?a
        { SELECT ?a (MIN(?w) AS ?k) { ?a dcat:keyword ?w } GROUP BY ?a } } GROUP BY ?o HAVING (COUNT(DISTINCT ?k) = 1)""",
    "a keyword of two offerings": """SELECT DISTINCT ?x ?y { ?x a sedimark:Offering ; sedimark:hasAsset/dcat:keyword ?k .
        ?y a sedimark:Offering ; sedimark:hasAsset/dcat:keyword ?k FILTER(STR(?x) < STR(?y)) }""",
    "everything reachable": """SELECT (COUNT(*) AS ?n) { ?o a sedimark:Offering .
        ?o (sedimark:hasAsset|sedimark:isProvidedBy)* ?x }""",
    "terms of contracts": "SELECT * { ?o sedimark:hasOfferingContract ?c OPTIONAL { ?c odrl:permission/odrl:action ?a } }",
    "without a keyword": """SELECT ?o { ?o a sedimark:Offering
        FILTER NOT EXISTS { ?o sedimark:hasAsset/dcat:keyword "building" } }""",
    "graph of the search": "CONSTRUCT { ?o dct:title ?t } { GRAPH ?g { ?o a sedimark:Offering ; dct:title ?t } }",
    "description": "DESCRIBE ?o { ?o a sedimark:Offering ; dct:title ?t } ORDER BY ?o LIMIT 3",
    "any": "ASK { ?o a sedimark:Offering }",
}


@pytest.fixture(scope="module")
def descriptions() -> dict[str, str]:
    """N-Triples by graph IRI: the example offerings where they are at hand, else the sandbox's own."""
    offerings = load(EXAMPLES) if EXAMPLES.exists() else generate(SANDBOX_OFFERINGS)
    read = [read_description(offering.description, offering.iri) for offering in offerings]
    return {description.graph: description.triples for description in read}


@pytest.fixture(scope="module")
def nodes(descriptions: dict[str, str]) -> Iterator[list[Node]]:
    with running_nodes(3) as nodes:
        for n, (graph, text) in enumerate(descriptions.items()):
            triples = [quad.triple for quad in pyoxigraph.parse(text, pyoxigraph.RdfFormat.N_TRIPLES)]
            for owner in (n % 3, (n + 1) % 3):
                nodes[owner].put(graph, triples)
        yield nodes


@pytest.fixture(scope="module")
def reference(descriptions: dict[str, str]) -> Reference:
    return Reference(descriptions)


@pytest.mark.parametrize("name", QUERIES)
def test_answer_is_that_of_one_store(
    name: str, nodes: list[Node], descriptions: dict[str, str], engine: Engine, reference: Reference
) -> None:
    expected = reference.answer(PROLOGUE + QUERIES[name])
    assert expected.rows or expected.graph or name == "details", "the query shows nothing"
    for down in (None, 0, 1, 2):
        source_of = {graph: f"node{n % 3 if n % 3 != down else (n + 1) % 3}" for n, graph in enumerate(descriptions)}
        sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes) if n != down)
        answer = engine.query(PROLOGUE + QUERIES[name], Snapshot(sources, source_of))
        found = Result.read(answer.body, answer.media_type)
        assert found.same(expected, ordered="ORDER BY" in QUERIES[name] and not found.graph), (found, expected)
