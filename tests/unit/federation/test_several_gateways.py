"""Several gateways over the same nodes, each with what it knows itself: whichever is asked, the answer is the same."""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pyoxigraph
import pytest
import requests

from federation.engine import Engine
from tests.helpers.sparql_node import Node, put, running_nodes
from tests.helpers.waiting import eventually
from topology import records
from topology.gateway.api.app import create_app
from topology.gateway.api.server import make_server
from topology.gateway.replicas.inventory import NodeGraphs
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import CompressedOffering, OfferingHead, Ring
from topology.ring import RingView

pytestmark = pytest.mark.slow

GRAPHS = [f"urn:g{n}" for n in range(8)]
NAMES = "abc"
ORDERED = "SELECT ?s ?o { ?s <urn:p> ?o } ORDER BY ?s ?o"
QUERIES = [
    ORDERED,
    "SELECT (COUNT(*) AS ?n) (SUM(?o) AS ?sum) { ?s <urn:p> ?o }",
    "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g",
    "SELECT ?s { ?s a <urn:C> ; <urn:p> ?o FILTER(?o > 2) } ORDER BY ?s",
    "ASK { GRAPH <urn:g3> { <urn:s3> <urn:p> 4 } }",
    "SELECT ?s ?p ?o { ?s ?p [ <urn:q> ?o ] } ORDER BY ?s",
]


class Texts:
    """A store of texts, as several gateways share one.

    Attributes:
        texts: They.
        found: How often one was found.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.found = 0

    def get(self, key: str) -> str | None:
        self.found += key in self.texts
        return self.texts.get(key)

    def put(self, key: str, text: str, seconds: float) -> None:
        self.texts[key] = text


class Catalogue:
    """Nodes, each graph on the two that the ring says, and one that nobody placed."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = dict(zip(NAMES, nodes, strict=True))
        ring_nodes = tuple(
            records.Node(name, node.url.removesuffix("/sparql"), "up") for name, node in self.nodes.items()
        )
        self.ring = RingView(Ring(1, ring_nodes, 150, 2))
        self.claims: dict[str, OfferingHead] = {}
        self.copies: dict[str, Replica] = {}
        self.listings = {name: NodeGraphs(frozenset[str](), time.monotonic()) for name in NAMES}
        for number, graph in enumerate(GRAPHS):
            self.write(
                graph, f"<urn:s{number}> <urn:p> {number}, {number + 1} ; a <urn:C> ; <urn:r> [ <urn:q> 1 ] .", 1
            )
        put(self.nodes["b"], "urn:own", "<urn:own> <urn:p> 100 .")
        self.listings["b"] = NodeGraphs(frozenset({"urn:own"}), time.monotonic())

    def write(self, graph: str, turtle: str, version: int) -> None:
        triples = "".join(f"{quad.triple} .\n" for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE))
        self.claims[graph] = CompressedOffering(
            graph=graph, digest=f"d{version}", claimed_at=1, compressed=zlib.compress(triples.encode())
        )
        for name in self.ring.owners(graph):
            put(self.nodes[name], graph, turtle)
            self.copies[records.placement_key(name, graph)] = Replica(f"d{version}", version)


class Gateway:
    """One gateway behind HTTP, with an engine and a directory of its own."""

    def __init__(self, catalogue: Catalogue, store: Texts | None, cache_ttl: float, has_view: bool) -> None:
        self.directory = ReplicaSelector(lambda: catalogue.ring, lambda: catalogue.listings)
        contents = self.directory if has_view else None
        self.engine = Engine(timeout=300, workers=1, cache_ttl=cache_ttl, store=store, contents=contents)
        # In another order: that in which a table is filled is another one everywhere.
        self.directory.claims = dict(reversed(catalogue.claims.items()))
        self.directory.replicas = dict(reversed(catalogue.copies.items()))
        self._server = make_server(create_app(self.engine, self.directory, lambda: catalogue.ring), "127.0.0.1", 0)
        threading.Thread(target=self._server.run, daemon=True).start()
        self.engine.follow(self.directory.snapshot)
        self.url = f"http://127.0.0.1:{self._server.effective_port}/sparql"  # type: ignore[union-attr]

    def learn(self, catalogue: Catalogue) -> None:
        """Take note of what the catalogue says by now."""
        self.directory.claims, self.directory.replicas = dict(catalogue.claims), dict(catalogue.copies)
        self.directory.changed()

    def ask(self, text: str, **headers: str) -> requests.Response:
        response = requests.get(self.url, {"query": text}, headers=headers, timeout=300)
        assert response.status_code in (200, 304), response.text
        assert response.headers["Catena-Completeness"] == "complete"
        return response

    def close(self) -> None:
        self._server.close()
        self.engine.close()


@pytest.fixture
def catalogue() -> Iterator[Catalogue]:
    with running_nodes(3) as nodes:
        yield Catalogue(nodes)


@contextmanager
def two_gateways(
    catalogue: Catalogue, store: Texts | None = None, cache_ttl: float = 0, views: tuple[bool, bool] = (False, False)
) -> Iterator[list[Gateway]]:
    with ExitStack() as stack:
        gateways = [Gateway(catalogue, store, cache_ttl, has_view) for has_view in views]
        for gateway in gateways:
            stack.callback(gateway.close)
        yield gateways


@pytest.mark.parametrize("cache_ttl", [0, 60])
def test_their_answers_and_entity_tags_are_the_same(catalogue: Catalogue, cache_ttl: float) -> None:
    with two_gateways(catalogue, None, cache_ttl) as gateways:
        assert gateways[0].directory.snapshot().version == gateways[1].directory.snapshot().version != ""
        for text in QUERIES:
            answers = [gateway.ask(text) for _ in range(3) for gateway in gateways]
            assert len({answer.content for answer in answers}) == 1, text
            assert len({answer.headers["ETag"] for answer in answers}) == 1
        count = gateways[0].ask(QUERIES[1]).json()["results"]["bindings"][0]["n"]["value"]
        assert count == "17"


def test_a_client_may_go_from_one_to_another(catalogue: Catalogue) -> None:
    with two_gateways(catalogue) as (one, other):
        tag = one.ask(ORDERED).headers["ETag"]
        assert other.ask(ORDERED, **{"If-None-Match": tag}).status_code == 304


def test_an_answer_that_one_has_kept_serves_the_other(catalogue: Catalogue) -> None:
    texts = Texts()
    with two_gateways(catalogue, texts, 60) as (one, other):
        answer = one.ask(ORDERED)
        asked = [len(node.queries) for node in catalogue.nodes.values()]
        assert other.ask(ORDERED).content == answer.content
        assert texts.found == 1
        assert [len(node.queries) for node in catalogue.nodes.values()] == asked


def test_past_the_cache_nodes_are_asked(catalogue: Catalogue) -> None:
    texts = Texts()
    with two_gateways(catalogue, texts, 60) as (one, other):
        one.ask(ORDERED)
        put(catalogue.nodes["b"], "urn:own", "<urn:own> <urn:p> 200 .")
        assert b"200" in other.ask(ORDERED, **{"Cache-Control": "no-cache"}).content


def test_after_a_change_neither_finds_what_was_kept_before(catalogue: Catalogue) -> None:
    texts = Texts()
    with two_gateways(catalogue, texts, 60) as gateways:
        one, other = gateways
        assert one.ask(ORDERED).content == other.ask(ORDERED).content
        catalogue.write("urn:g3", "<urn:s3> <urn:p> 777 .", 2)
        one.learn(catalogue)
        new = one.ask(ORDERED)
        assert b"777" in new.content
        other.learn(catalogue)
        found = texts.found
        assert other.ask(ORDERED).content == new.content
        assert texts.found == found + 1


def test_they_agree_while_nodes_fail_and_come_back(catalogue: Catalogue) -> None:
    with two_gateways(catalogue, Texts(), 60) as gateways:
        expected = gateways[0].ask(ORDERED).content
        for name in "ac":
            catalogue.nodes[name].fault = "error"
            answers = [gateway.ask(ORDERED, **{"Cache-Control": "no-cache"}) for gateway in gateways]
            assert [answer.content for answer in answers] == [expected, expected]
            catalogue.nodes[name].fault = ""


def test_gateways_with_and_without_a_view_show_the_same(catalogue: Catalogue) -> None:
    with two_gateways(catalogue, views=(True, False)) as (one, other):

        def is_over_the_view() -> bool:
            before = sum(len(node.queries) for node in catalogue.nodes.values())
            assert one.ask(ORDERED).content == first.content
            return sum(len(node.queries) for node in catalogue.nodes.values()) == before

        first = other.ask(ORDERED)
        eventually(is_over_the_view, timeout=120)
        catalogue.write("urn:g5", "<urn:s5> <urn:p> 555 .", 2)
        for gateway in (one, other):
            gateway.learn(catalogue)
        answers = [gateway.ask(ORDERED) for gateway in (one, other)]
        assert b"555" in answers[0].content
        assert answers[0].content == answers[1].content != first.content
        assert answers[0].headers["ETag"] == answers[1].headers["ETag"]


def test_clients_that_take_turns_never_see_time_go_back(catalogue: Catalogue) -> None:
    """Once both gateways know of a change, no request shows what was before it."""
    text = "SELECT ?o { <urn:s0> <urn:p> ?o }"
    with two_gateways(catalogue, Texts(), 60) as gateways:
        for version in range(2, 8):
            catalogue.write("urn:g0", f"<urn:s0> <urn:p> {version} .", version)
            for gateway in gateways:
                gateway.learn(catalogue)
            for gateway in itertools.islice(itertools.cycle(gateways), 6):
                [binding] = gateway.ask(text).json()["results"]["bindings"]
                assert binding["o"]["value"] == str(version)
