"""The whole path, from a ledger's listing to a federated answer, on the embedded parts and on real ones."""

import collections
import contextlib
import os
import signal
from typing import Any

import pyoxigraph as ox
import pytest
import requests

from tests.helpers.catena_up import REAL_OFFERINGS, Up, catalogue_list, graph_of, graphs_of, server
from tests.helpers.placement import assert_placed, canonical, documents_of, load
from tests.helpers.waiting import eventually

SEDIMARK = "https://w3id.org/sedimark/ontology#"

PREFIXES = f"""PREFIX sedimark: <{SEDIMARK}>
PREFIX dcterms: <http://purl.org/dc/terms/>
PREFIX dcat: <http://www.w3.org/ns/dcat#>
PREFIX schema: <https://schema.org/>
"""

QUERIES = [
    "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }",
    "SELECT (COUNT(DISTINCT ?o) AS ?n) WHERE { ?o a sedimark:Offering }",
    "SELECT (COUNT(DISTINCT ?g) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } }",
    "SELECT ?offering ?title WHERE { ?offering a sedimark:Offering ; dcterms:title ?title } ORDER BY ?title ?offering LIMIT 20",
    "SELECT ?asset ?title WHERE { ?asset a sedimark:Asset ; dcterms:title ?title FILTER(CONTAINS(LCASE(STR(?title)), 'a')) }",
    "SELECT ?keyword (COUNT(?asset) AS ?n) WHERE { ?asset dcat:keyword ?keyword } GROUP BY ?keyword ORDER BY DESC(?n) ?keyword",
    "SELECT ?theme (COUNT(DISTINCT ?asset) AS ?n) WHERE { ?asset dcterms:theme|dcat:theme ?theme } GROUP BY ?theme",
    "SELECT ?one ?other WHERE { ?one dcterms:title ?t . ?other dcterms:title ?t . FILTER(STR(?one) < STR(?other)) }",
    "SELECT DISTINCT ?p WHERE { ?s ?p ?o } ORDER BY ?p",
    "SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g",
    "SELECT ?o ?c WHERE { ?o a sedimark:Offering OPTIONAL { ?o sedimark:hasOfferingContract ?c } }",
    "SELECT ?s WHERE { ?s a sedimark:Asset FILTER NOT EXISTS { ?s dcat:keyword 'SEDIMARK' } }",
    "ASK { ?s a sedimark:Offering ; sedimark:hasAsset ?a }",
    "ASK { ?s a <urn:none> }",
    "CONSTRUCT { ?a dcterms:title ?t } WHERE { ?o sedimark:hasAsset ?a . ?a dcterms:title ?t }",
    "CONSTRUCT WHERE { ?o sedimark:isListedBy ?l }",
    "SELECT ?x WHERE { ?o a sedimark:Offering . ?o sedimark:hasAsset/sedimark:isProvidedBy ?x }",
]


def rows(result):
    """Count the solutions of a SELECT; blank nodes are told apart by nothing but being blank."""
    variables = [variable.value for variable in result.variables]

    def shown(term):
        return "_:" if isinstance(term, ox.BlankNode) else str(term)

    return collections.Counter(tuple(shown(solution[name]) for name in variables) for solution in result), variables


def complete_answer(up, query, **options):
    """Ask until the gateway is sure of its answer: on a busy machine a node may pass for down for a moment."""

    def ask():
        answer = up.ask(query, **options)
        assert answer.status_code == 200, answer.text
        return answer if answer.headers["Catena-Completeness"] == "complete" else None

    return eventually(ask, message=up.output)


def assert_equal_answers(up, truth):
    """Every query's answer by the gateway is the one store's."""
    for query in QUERIES:
        text = PREFIXES + query
        expected = truth.query(text)
        if isinstance(expected, ox.QueryBoolean):
            assert complete_answer(up, text).json()["boolean"] is bool(expected), query
        elif isinstance(expected, ox.QuerySolutions):
            answer = complete_answer(up, text)
            found: Any = ox.parse_query_results(answer.content, format=ox.QueryResultsFormat.JSON)
            if "ORDER BY" in query:
                assert [str(row) for row in found] == [str(row) for row in expected], query
            else:
                assert rows(found) == rows(expected), query
        else:
            answer = complete_answer(up, text, accept="application/n-triples")
            triples = [quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES)]
            assert canonical(triples) == canonical(expected), query


def assert_described(up, truth, offering):
    """DESCRIBE gives at least what is said of the resource, and nothing that the one store does not say."""
    answer = complete_answer(up, f"DESCRIBE <{offering}>", accept="application/n-triples")
    found = {str(quad.predicate) for quad in ox.parse(answer.content, format=ox.RdfFormat.N_TRIPLES)}
    assert {
        str(q.predicate) for q in truth.quads_for_pattern(ox.NamedNode(offering), None, None, ox.DefaultGraph())
    } <= found


@pytest.fixture(
    params=["embedded", pytest.param("real", marks=[pytest.mark.kafka, pytest.mark.redis, pytest.mark.fuseki])]
)
def parts(request):
    """Broker option, settings and nodes: embedded with sandbox nodes, or Apache Kafka, Redis and Fuseki."""
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            nodes = [stack.enter_context(server("sandbox.node", "node "))[0] for _ in range(3)]
            yield (), {"REDIS_HOST": ""}, nodes
        else:
            kafka = request.getfixturevalue("own_kafka")
            redis = request.getfixturevalue("redis_server")
            fuseki = request.getfixturevalue("fuseki")
            nodes = [fuseki().url for _ in range(3)]
            settings = {"REDIS_HOST": redis.host, "REDIS_PORT": str(redis.port)}
            yield ("-k", kafka.bootstrap), settings, nodes


@pytest.fixture
def own_kafka():
    """Run a Kafka without topics: the catalogue's have fixed names."""
    from tests.servers import ServerUnavailable, kafka_server

    try:
        with kafka_server(own=True) as kafka:
            yield kafka
    except ServerUnavailable as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs Apache Kafka: {error}")


def test_from_the_ledgers_listing_to_a_federated_answer(parts, tmp_path):
    arguments, settings, nodes = parts
    offerings = ("--offerings", str(REAL_OFFERINGS)) if REAL_OFFERINGS.is_file() else ("--count", "100")
    with server("sandbox.booth", "booth ", *offerings, "--lenient") as (booth, _):
        listed = catalogue_list(tmp_path / "nodes.json", nodes)
        up = Up(
            ("--scale", "fetcher=2", "--scale", "writer=2", *arguments),
            DLT_BASE_URL=booth,
            OPERATOR_PROVIDED="1",
            CATALOGUE_LIST=listed,
            OFFERING_REFRESH_INTERVAL="4",
            **settings,
        )
        try:
            up.found("all 100 offerings stand on 2 nodes each")
            documents = documents_of(booth)
            assert_placed(nodes, documents.values())
            truth = load(documents.values())
            eventually(lambda: up.ask(PREFIXES + QUERIES[1]).json()["results"]["bindings"][0]["n"]["value"] == "100")
            assert_equal_answers(up, truth)

            address, document = next(iter(documents.items()))
            offering = next(iter(load([document]).named_graphs())).value
            assert_described(up, truth, offering)
            for name in (address, offering):
                answer = eventually(lambda name=name: described(up, name), message=up.output)
                served = [quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.JSON_LD)]
                expected = load([document]).quads_for_pattern(None, None, None, ox.NamedNode(offering))
                assert canonical(served) == canonical(quad.triple for quad in expected)
            assert (
                requests.post(f"{up.gateway}/offerings", json={"offerings_id": "0xnone"}, timeout=120).status_code
                == 404
            )

            delisted_and_changed(up, booth, nodes, documents)

            assert up.stop() == 0, up.output()
            assert not [line for line in up.lines if "Traceback" in line], up.output()
        finally:
            up.stop()


def described(up, name):
    """Ask for one offering; nothing while its nodes pass for down."""
    answer = requests.post(f"{up.gateway}/offerings", json={"offerings_id": name}, timeout=120)
    return answer if answer.status_code == 200 else None


def delisted_and_changed(up, booth, nodes, documents):
    """Remove an offering at the ledger, which leaves all nodes, and change one, which replaces the old one on both."""
    removed, changed = list(documents)[10], list(documents)[20]
    requests.delete(f"{booth}/offerings/{removed}", timeout=120).raise_for_status()
    gone = next(iter(load([documents.pop(removed)]).named_graphs())).value
    eventually(lambda: all(gone not in graphs_of(node) for node in nodes))
    eventually(lambda: complete_answer(up, f"ASK {{ GRAPH <{gone}> {{ ?s ?p ?o }} }}").json()["boolean"] is False)
    lookup = {"offerings_id": removed}
    eventually(lambda: requests.post(f"{up.gateway}/offerings", json=lookup, timeout=120).status_code == 404)

    graph = next(iter(load([documents[changed]]).named_graphs()))
    triples = [quad.triple for quad in load([documents[changed]]).quads_for_pattern(None, None, None, graph)]
    title = ox.Triple(graph, ox.NamedNode("http://purl.org/dc/terms/title"), ox.Literal("A new title", language="en"))
    documents[changed] = ox.serialize([*triples, title], format=ox.RdfFormat.JSON_LD)
    uri = requests.get(f"{booth}/offerings/{changed}", timeout=120).json()["descriptionUri"]
    headers = {"Content-Type": "application/ld+json"}
    requests.put(uri, data=documents[changed], headers=headers, timeout=120).raise_for_status()
    ask = f"SELECT ?t WHERE {{ GRAPH <{graph.value}> {{ <{graph.value}> <http://purl.org/dc/terms/title> ?t }} }}"
    eventually(lambda: "A new title" in up.ask(ask).text, message=up.output)
    eventually(lambda: sum(b"A new title" in graph_of(node, graph.value) for node in nodes) == 2)
    assert_placed(nodes, documents.values())


def test_what_make_up_does(tmp_path):
    up = Up(directory=tmp_path)
    try:
        up.found("all 100 offerings stand on 2 nodes each")
        nodes = up.found("^sandbox nodes: (.*)").split(", ")
        booth = up.found("^sandbox ledger: (.*)/offerings")
        assert_placed(nodes, documents_of(booth).values())
        up.found("ask for instance")
        query = up.output().partition("'query=")[2].partition("'")[0]
        answer = eventually(lambda: up.ask(query, accept="text/csv"))
        assert answer.status_code == 200
        assert len(answer.text.strip().splitlines()) == 6
        victim = up.pid_of("links.writer")
        os.kill(victim, signal.SIGKILL)
        up.found("writer: WARNING died with signal SIGKILL")
        eventually(lambda: up.pid_of("links.writer") not in (None, victim))
        assert up.stop() == 0, up.output()
    finally:
        up.stop()
