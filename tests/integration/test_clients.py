"""Clients of others that are programs of their own, as they ask a gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.clients import comunica, jena, rdf4j
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import running_node
from topology.gateway.api.server import make_server, port_of
from topology.gateway.guarding.clients import Client
from topology.gateway.guarding.guard import Guard

NOTE = 'water & "air" + earth #1 100% ü'
KEY = "a key of the client"
QUERIES = (
    "SELECT ?note { ?s <https://p.example/note> ?note }",
    "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }",
    "CONSTRUCT { ?s <https://p.example/note> ?note } WHERE { ?s <https://p.example/note> ?note }",
    "ASK { ?s <https://p.example/note> ?note FILTER(CONTAINS(?note, '\"air\" +')) }",
)
FOUND = [NOTE, "2", NOTE, "true"]


class _Key:
    def known_by(self, secret: str) -> Client | None:
        return Client("client", False) if secret == KEY else None


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve one offering that stands on two nodes, to clients that have the key."""
    with running_node() as first, running_node() as second:
        engine = Engine(timeout=300, source_timeout=120, workers=1)
        serving = Serving(engine)
        serving.has("a", first.url)
        serving.has("b", second.url)
        for name in ("a", "b"):
            serving.place(name, described(G, NOTE))
        serving.list("0xa", described(G, NOTE))
        Guard(LinkLogger("Gateway"), [_Key()], open_reading=False).protect(serving.app)
        server = make_server(serving.app, "127.0.0.1", 0)
        threading.Thread(target=server.run, daemon=True).start()
        yield f"http://127.0.0.1:{port_of(server)}/sparql"
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
        server.close()
        engine.close()


def test_rdf4j_finds_each_kind_of_result(endpoint: str) -> None:
    assert rdf4j(endpoint, KEY, *QUERIES) == ["size 2", f"graph {G}", *FOUND]


def test_jena_finds_each_kind_of_result(endpoint: str) -> None:
    assert jena(endpoint, KEY, *QUERIES) == FOUND


def test_comunica_finds_each_kind_of_result(endpoint: str) -> None:
    assert comunica(endpoint, KEY, *QUERIES) == FOUND
