"""The proof: every listed offering stands on so many nodes, as its newest description says, and nothing else does."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyoxigraph as ox
import requests

from tests.chaos.ledger import Listed
from tests.chaos.nodes import ChaosNode
from tests.helpers.placement import canonical, load

_PREFIXES = """PREFIX sedimark: <https://w3id.org/sedimark/ontology#>
PREFIX dcterms: <http://purl.org/dc/terms/>
PREFIX dcat: <http://www.w3.org/ns/dcat#>
"""
_QUERIES = (
    "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }",
    "SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
    "SELECT ?keyword (COUNT(?a) AS ?n) WHERE { ?a dcat:keyword ?keyword } GROUP BY ?keyword",
    "SELECT ?o ?v WHERE { ?o a sedimark:Offering ; <urn:chaos:version> ?v }",
    "SELECT DISTINCT ?p WHERE { ?s ?p ?o }",
    "SELECT ?o ?t WHERE { ?o sedimark:hasAsset ?a . ?a dcterms:title ?t FILTER(LANG(?t) = 'fr') }",
)


@dataclass
class Difference:
    """The nodes' difference from the truth.

    Attributes:
        missing: Copies that are not there, or not as they should be.
        surplus: Copies that should not be there.
        examples: Some of them in words.
    """

    missing: int = 0
    surplus: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def none(self) -> bool:
        """True if the nodes are as they should be."""
        return not (self.missing or self.surplus)


def compare_versions(truth: Mapping[str, Listed], nodes: Iterable[ChaosNode], copies: int) -> Difference:
    """Compare the versions in the nodes' graphs with the truth: quick, for many looks."""
    nodes = list(nodes)
    with ThreadPoolExecutor(len(nodes)) as pool:
        held = list(pool.map(lambda node: node.versions(), nodes))
    return _compare(
        {iri: [listed.version] for iri, listed in truth.items()},
        {node.name: versions for node, versions in zip(nodes, held, strict=True)},
        copies,
    )


def compare_contents(truth: Mapping[str, Listed], nodes: Iterable[ChaosNode], copies: int) -> Difference:
    """Compare every quad on the nodes with the descriptions."""
    wanted = {}
    for iri, listed in truth.items():
        (graph,) = (store := load([listed.document])).named_graphs()
        assert graph.value == iri
        wanted[iri] = canonical(quad.triple for quad in store.quads_for_pattern(None, None, None, graph))
    held = {}
    for node in nodes:
        graphs: dict[str, list[ox.Triple]] = collections.defaultdict(list)
        for quad in ox.parse(node.quads(), format=ox.RdfFormat.N_QUADS):
            graphs[getattr(quad.graph_name, "value", "default graph")].append(quad.triple)
        held[node.name] = {iri: canonical(triples) for iri, triples in graphs.items()}
    return _compare(wanted, held, copies)


def _compare(wanted: Mapping[str, object], held: Mapping[str, Mapping[str, object]], copies: int) -> Difference:
    difference = Difference()
    right = collections.Counter(
        iri for graphs in held.values() for iri, content in graphs.items() if wanted.get(iri) == content
    )
    there = collections.Counter(iri for graphs in held.values() for iri in graphs)
    for iri in wanted.keys() | there.keys():
        expected = copies if iri in wanted else 0
        missing, surplus = max(0, expected - right[iri]), max(0, there[iri] - expected)
        difference.missing += missing
        difference.surplus += surplus
        if (missing or surplus) and len(difference.examples) < 5:
            on = ", ".join(
                f"{name}{'' if graphs[iri] == wanted.get(iri) else ' (another content)'}"
                for name, graphs in held.items()
                if iri in graphs
            )
            difference.examples.append(f"{iri}: {expected} copies expected, stands on {on or 'no node'}")
    return difference


def wrong_answers(truth: Mapping[str, Listed], gateway: str) -> list[str]:
    """Compare a gateway's answers with those of one store that holds every listed offering once.

    Returns:
        The queries with another answer, or with one that is not complete.
    """
    store = load([listed.document for listed in truth.values()])
    wrong = []
    for query in _QUERIES:
        text = _PREFIXES + query
        expected = store.query(text)
        assert isinstance(expected, ox.QuerySolutions)
        answer = requests.post(
            f"{gateway}/sparql",
            data={"query": text},
            headers={"Accept": "application/sparql-results+json", "Cache-Control": "no-cache"},
            timeout=120,
        )
        completeness = answer.headers.get("Catena-Completeness", "none")
        if answer.status_code != 200 or completeness != "complete":
            wrong.append(f"{query}: status {answer.status_code}, completeness {completeness}")
            continue
        found = ox.parse_query_results(answer.content, format=ox.QueryResultsFormat.JSON)
        assert isinstance(found, ox.QuerySolutions)
        if _rows(found) != _rows(expected):
            wrong.append(f"{query}: another answer than one store's")
    return wrong


def _rows(solutions: ox.QuerySolutions) -> collections.Counter[tuple[str, ...]]:
    names = [variable.value for variable in solutions.variables]
    return collections.Counter(tuple(str(solution[name]) for name in names) for solution in solutions)
