"""Six graphs on three nodes, what a gateway knows of them, and what nodes were asked."""

from __future__ import annotations

import json

from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node

GRAPHS = [f"urn:g{n}" for n in range(6)]
COUNT = "SELECT (COUNT(*) AS ?n) { ?s <urn:p> ?o }"
NAMES = "SELECT ?g { GRAPH ?g {} } ORDER BY ?g"


def owners(n: int) -> tuple[int, int]:
    return n % 3, (n + 1) % 3


def snapshot(nodes: list[Node], avoided: frozenset[str] = frozenset()) -> Snapshot:
    """As the gateway makes them: without the nodes to avoid, and missing where both owners of some graph are among them."""
    source_of = {}
    lost = set()
    for n, graph in enumerate(GRAPHS):
        live = [f"node{owner}" for owner in owners(n) if f"node{owner}" not in avoided]
        source_of[graph] = live[0] if live else "nobody"
        lost |= set() if live else {f"node{owner}" for owner in owners(n)}
    sources = [Source(f"node{n}", node.url) for n, node in enumerate(nodes)]
    return Snapshot(tuple(s for s in sources if s.id not in avoided), source_of, frozenset(), tuple(sorted(lost)))


def value(body: bytes) -> str:
    [binding] = json.loads(body)["results"]["bindings"]
    [term] = binding.values()
    return str(term["value"])


def asked(nodes: list[Node]) -> list[str]:
    return [query for node in nodes for query in node.queries]
