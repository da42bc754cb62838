"""Queries that call other services, and a store that calls them itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import flask
import pyoxigraph
from flask.testing import FlaskClient

from federation.engine import Engine
from federation.protocol.sparql import sparql_blueprint
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node

JSON = "application/sparql-results+json"
GRAPHS = {
    "urn:g1": "<urn:a> <urn:p> 1 ; <urn:same> <urn:b> . <urn:b> <urn:p> 2 .",
    "urn:g2": "<urn:c> <urn:p> 3 . <urn:a> <urn:p> 1 .",
}
CALL = "SERVICE <URL> { ?s <urn:q> ?z }"
ALL_CALLS = {
    "joined": f"SELECT * {{ ?s <urn:p> ?o {CALL} }}",
    "alone": f"SELECT * {{ {CALL} }}",
    "first": f"SELECT * {{ {CALL} ?s <urn:p> ?o }}",
    "between": f"SELECT * {{ ?s <urn:p> ?o {CALL} ?s <urn:same> ?t }}",
    "narrowed by what it finds": f"SELECT * {{ ?s <urn:p> ?o {CALL} FILTER(?z = 'zb') }}",
    "the same terms": "SELECT * { SERVICE <URL> { ?s <urn:p> ?o } MINUS { ?s <urn:same> ?t } }",
    "optional": f"SELECT * {{ ?s <urn:p> ?o OPTIONAL {{ {CALL} FILTER(?o > 1) }} }}",
    "in a sub-select": f"SELECT * {{ ?s <urn:p> ?o {{ SELECT ?s (COUNT(?z) AS ?n) {{ {CALL} }} GROUP BY ?s }} }}",
    "in a graph": f"SELECT * {{ GRAPH ?g {{ ?s <urn:p> ?o {CALL} }} }}",
    "in a union": f"SELECT * {{ ?s <urn:p> ?o {{ {CALL} }} UNION {{ ?s <urn:same> ?z }} }}",
    "in EXISTS": f"SELECT * {{ ?s <urn:p> ?o FILTER NOT EXISTS {{ {CALL} }} }}",
    "in MINUS": f"SELECT * {{ ?s <urn:p> ?o MINUS {{ {CALL} }} }}",
    "silent": f"SELECT * {{ ?s <urn:p> ?o {CALL.replace('SERVICE', 'service silent')} }}",
    "twice": f"SELECT * {{ ?s <urn:p> ?o {CALL} SERVICE <URL> {{ ?t <urn:q> 'zb' }} }}",
    "by a prefixed name": f"PREFIX x: <URL> SELECT * {{ ?s <urn:p> ?o {CALL.replace('<URL>', 'x:')} }}",
    "by a relative address": f"BASE <URL> SELECT * {{ ?s <urn:p> ?o {CALL.replace('<URL>', '<>')} }}",
    "from variables that it binds": "SELECT * { SERVICE <URL> { ?s <urn:q> ?z } ?s <urn:same>* ?t }",
}
# Each of these calls EVIL where pyoxigraph evaluates it, and looks as if it did not.
HIDDEN = {
    "joined to a word, and no other": "SELECT * { ?s ?p trueSERVICE <EVIL> {} }",
    "joined to a word": "SELECT * { SERVICE <URL> {} ?s ?p trueSERVICE <EVIL> {} }",
    "joined to a number": "SELECT * { SERVICE <URL> {} ?s ?p 1e5SERVICE <EVIL> {} }",
    "before SILENT": "SELECT * { SERVICE <URL> {} SERVICESILENT<EVIL> {} }",
    "before a prefix": "PREFIX x: <EVIL> SELECT * { SERVICE <URL> {} SERVICEx:{ ?s ?p ?o } }",
    "after a comparison": "SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<?b)SERVICE#>\n<EVIL> {} }",
    "after a comparison and a comment": (
        'SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<?b)#>"""\nSERVICE <EVIL> {} #"""\n }'
    ),
    "after a comparison with a string": "SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<'>') SERVICE <EVIL> {} # '\n }",
    "after a string with an odd escape": 'SELECT * { SERVICE <URL> {} VALUES ?x { """a" } SERVICE <EVIL> {} #\\q"""\n }',
    "after a long prefix": (
        f"PREFIX {'x' * 70}: <urn:> SELECT * {{ SERVICE <URL> {{}} ?s ?p {'x' * 70}:a\\' SERVICE <EVIL> {{}} #'\n }}"
    ),
    "in another one": "SELECT * { SERVICE <URL> { SERVICE <EVIL> {} } }",
    "after BASE": "BASE <EVIL> SELECT * { SERVICE <URL> {} SERVICE <> {} }",
}


def engine_for(*services: Node, timeout: float = 300) -> Engine:
    hosts = frozenset(urlsplit(service.url).netloc for service in services)
    return Engine(timeout=timeout, workers=1, cache_ttl=60, services=hosts)


def snapshot(nodes: list[Node]) -> Snapshot:
    sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
    return Snapshot(sources, dict.fromkeys(GRAPHS, "node0"), frozenset(), (), "1")


def rows(body: bytes) -> Counter[tuple[tuple[str, str], ...]]:
    bindings: list[Mapping[str, Mapping[str, str]]] = json.loads(body)["results"]["bindings"]
    return Counter(tuple(sorted((name, term["value"]) for name, term in binding.items())) for binding in bindings)


def client_of(engine: Engine, nodes: list[Node]) -> FlaskClient:
    app = flask.Flask(__name__)
    app.register_blueprint(sparql_blueprint(engine, lambda _: snapshot(nodes)))
    return app.test_client()


def expected(text: str) -> Counter[tuple[tuple[str, str], ...]]:
    """Ask one store that has everything, and calls the same server."""
    store = pyoxigraph.Store()
    for graph, turtle in GRAPHS.items():
        for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE):
            store.add(quad)
            store.add(pyoxigraph.Quad(quad.subject, quad.predicate, quad.object, pyoxigraph.NamedNode(graph)))
    solutions = store.query(text)
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    body = solutions.serialize(format=pyoxigraph.QueryResultsFormat.JSON)
    assert body is not None
    return rows(body)
