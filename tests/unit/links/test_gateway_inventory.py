"""What nodes say they hold, in a catalogue with Kafka: graphs that nobody placed are missed, lost copies are not read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from catena_core.testing import LinkDriver
from links.gateway import Gateway
from tests.helpers.environment import Environment
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology import records, topics
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.records import RING_KEY, Loss, Node, Offering, Placement, Ring, placement_key

pytestmark = pytest.mark.slow

G = "https://p.example/1"
GRAPHS = "SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } } ORDER BY ?g"


@pytest.fixture
def gateway(environment: Environment, nodes: tuple[Sandbox, Sandbox]) -> Iterator[Gateway]:
    """Give a gateway over two nodes that hold one offering, and the second one a graph of its provider's besides."""
    environment(HOST_ADDRESS="127.0.0.1", HOST_PORT="0", NODE_TIMEOUT="1")
    what = described(G)
    for node in nodes:
        NodeClient(node.url, WebClient(5)).put(G, what.triples)
    nodes[1].ask("PUT", "/catalogue/data?graph=urn:own", b"<urn:s> <urn:p> 1 .", "text/turtle")
    offered = Offering(graph=G, triples=what.triples, digest=what.digest, claimed_at=1)
    on_ring = tuple(Node(name, node.url, "up", 1) for name, node in zip("ab", nodes, strict=True))
    link = Gateway()
    link._driver = LinkDriver(  # type: ignore[attr-defined]
        link,
        tables={
            topics.RING: {RING_KEY: records.to_text(Ring(1, on_ring, 50, 2))},
            topics.OFFERINGS: {"0xa": records.to_text(offered)},
            topics.PLACEMENTS: {
                placement_key(name, G): records.to_text(Placement(name, G, "0xa", 1, 1, 0, what.digest))
                for name in "ab"
            },
        },
    )
    serving = threading.Thread(target=link.generator, daemon=True)
    serving.start()
    eventually(lambda: len(link._inventory.graphs_by_node()) == 2 and link._inventory.is_complete())
    yield link
    link.finish()
    serving.join(120)


def ask(link: Gateway) -> tuple[list[str], str]:
    app: Any = link._app
    answer = app.test_client().get("/sparql", query_string={"query": GRAPHS}, headers={"Accept": "application/json"})
    rows = [binding["g"]["value"] for binding in answer.json["results"]["bindings"]]
    return rows, answer.headers["Catena-Completeness"]


def test_they_are_seen(gateway: Gateway) -> None:
    assert ask(gateway) == ([G, "urn:own"], "complete")


@pytest.mark.parametrize(("gone", "left"), [(0, ([G, "urn:own"], "complete")), (1, ([G], "partial; missing=b"))])
def test_a_node_that_is_gone_with_some_is_missing_and_another_is_not(
    gateway: Gateway, nodes: tuple[Sandbox, Sandbox], gone: int, left: tuple[list[str], str]
) -> None:
    nodes[gone].faults(error_rate=1)

    assert ask(gateway) == left


@pytest.mark.parametrize("emptied", [0, 1])
def test_a_node_that_has_lost_what_it_acknowledged_is_not_read_for_it(
    gateway: Gateway, nodes: tuple[Sandbox, Sandbox], emptied: int
) -> None:
    """It was started again, so quickly that the monitor has not seen it, nor therefore the writer."""
    nodes[emptied].ask("DELETE", f"/catalogue/data?graph={quote(G, safe='')}")

    eventually(lambda: gateway._selector.snapshot().source_of[G] == "ab"[1 - emptied])

    assert ask(gateway) == ([G, "urn:own"], "complete")


def test_loss_is_told_in_health_and_reported_to_the_writer(gateway: Gateway, nodes: tuple[Sandbox, Sandbox]) -> None:
    driver: Any = gateway._driver  # type: ignore[attr-defined]
    client: Any = gateway._app.test_client()
    assert client.get("/health").json["status"] == "healthy"
    nodes[0].ask("DELETE", f"/catalogue/data?graph={quote(G, safe='')}")

    health = eventually(lambda: (found := client.get("/health").json)["status"] == "degraded" and found)
    (loss, *_) = eventually(lambda: [one for one in driver.sent if one.topic == topics.LOSSES])

    assert health["copies_missing"] == 1
    assert (loss.key, records.from_text(loss.value, Loss).graphs) == ("a", 1)
