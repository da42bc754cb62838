"""The gateway: offerings and queries over HTTP, from nodes that may be silent, and never a guess."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from federation.engine import Engine
from tests.helpers.answers import content
from tests.helpers.gateway import G, Serving, same_graph
from tests.helpers.odd_server import closed_port
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually

COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"


@pytest.fixture
def serving(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Serving:
    """Give a gateway over two nodes, with one offering on both of them."""
    return Serving.over(engine, nodes)


class TestHealth:
    def test_all_nodes_are_up(self, serving: Serving) -> None:
        answer = serving.client.get("/health")

        assert answer.status_code == 200
        assert answer.json == {"status": "healthy", "epoch": 4, "nodes": {"a": "up", "b": "up"}}

    def test_one_is_not(self, serving: Serving) -> None:
        serving.has("c", "http://c.invalid", "suspect")
        answer = serving.client.get("/health")

        assert answer.status_code == 200, "the gateway serves"
        assert answer.json is not None
        assert (answer.json["status"], answer.json["nodes"]["c"]) == ("degraded", "suspect")

    def test_there_are_none(self, engine: Engine) -> None:
        answer = Serving(engine).client.get("/health")

        assert answer.json == {"status": "degraded", "epoch": 0, "nodes": {}}


class TestOfferings:
    @pytest.mark.parametrize("identifier", ["0xa", G])
    def test_one_by_its_address_or_its_iri(self, serving: Serving, identifier: str) -> None:
        answer = serving.offering(identifier)

        assert answer.status_code == 200
        assert answer.content_type == "application/ld+json"
        assert answer.headers["Catena-Completeness"] == "complete"
        assert same_graph(answer.data, described(G))
        assert json.loads(answer.data)[0]["@id"] == G

    @pytest.mark.parametrize("spell", [str.lower, lambda address: "0x" + address[2:].upper(), str])
    def test_one_by_its_address_in_other_letters(self, serving: Serving, spell: Callable[[str], str]) -> None:
        address = "0x52908400098527886E0F7030069857D2E4169Ee7"
        description = described("https://p.example/2")
        serving.place("a", description)
        serving.list(address, description)

        answer = serving.offering(spell(address))

        assert answer.status_code == 200
        assert same_graph(answer.data, description)

    def test_blank_nodes_are_blank_nodes_again(self, serving: Serving) -> None:
        description = described("https://p.example/2", [{"https://p.example/by": "somebody"}])
        serving.place("a", description)
        serving.list("0xb", description)

        answer = serving.offering("0xb")

        assert b"catena.invalid" not in answer.data
        assert same_graph(answer.data, description)

    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            ("*/*", "application/ld+json"),
            ("application/json", "application/ld+json"),
            ("text/turtle", "text/turtle"),
            ("application/n-triples", "application/n-triples"),
            ("application/rdf+xml", "application/rdf+xml"),
            ("text/html, text/turtle;q=0.5", "text/turtle"),
        ],
    )
    def test_in_the_format_that_is_asked_for(self, serving: Serving, accept: str, content_type: str) -> None:
        answer = serving.offering("0xa", Accept=accept)

        assert answer.status_code == 200
        assert answer.content_type.startswith(content_type)

    def test_a_format_that_cannot_be_had(self, serving: Serving) -> None:
        answer = serving.offering("0xa", Accept="text/html")

        assert answer.status_code == 406
        assert "text/turtle" in answer.json["detail"]

    @pytest.mark.parametrize("identifier", ["0xb", "", "https://p.example/2", "> } DROP ALL #", "0x" + "b" * 10_000])
    def test_one_that_nobody_knows(self, serving: Serving, identifier: str) -> None:
        answer = serving.offering(identifier)

        assert answer.status_code == 404
        assert answer.json["detail"].startswith("no offering is known as ")
        assert len(answer.data) < 1000

    def test_a_graph_that_the_ledger_does_not_list_is_none_of_them(self, serving: Serving) -> None:
        serving.place("a", described("https://p.example/own"))

        assert serving.offering("https://p.example/own").status_code == 404

    def test_one_that_was_delisted(self, serving: Serving) -> None:
        serving.withdraw("0xa")

        assert serving.offering("0xa").status_code == 404
        assert serving.offering(G).status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"{}",
            b"null",
            b'"0xa"',
            b'{"offerings_id": 5}',
            b'{"offerings_id": null}',
            b'{"offering_id": "0xa"}',
            b'{"offerings_id": "\xff"}',
            b'{"x": ' + b"[" * 100_000,
        ],
    )
    def test_a_request_that_is_none_is_told_what_one_looks_like(self, serving: Serving, body: bytes) -> None:
        answer = serving.client.post("/offerings", data=body, content_type="application/json")

        assert answer.status_code == 400
        assert answer.json is not None
        assert '{"offerings_id": "<ledger address or offering IRI>"}' in answer.json["detail"]

    def test_the_content_type_does_not_matter(self, serving: Serving) -> None:
        assert serving.client.post("/offerings", data=b'{"offerings_id": "0xa"}').status_code == 200

    def test_a_request_that_is_too_large(self, serving: Serving) -> None:
        answer = serving.client.post("/offerings", data=b'{"offerings_id": "' + b"a" * 1_100_000 + b'"}')

        assert answer.status_code == 413
        assert answer.json is not None

    def test_another_method(self, serving: Serving) -> None:
        answer = serving.client.delete("/offerings")

        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}

    def test_a_stale_copy_serves_while_the_new_one_is_on_its_way(self, serving: Serving) -> None:
        serving.list("0xa", described(G, "new"))

        answer = serving.offering("0xa")

        assert answer.status_code == 200
        assert b"a note" in answer.data

    def test_the_current_copy_is_preferred(self, serving: Serving) -> None:
        serving.list("0xa", described(G, "new"))
        serving.place("b", described(G, "new"))

        answer = serving.offering("0xa")

        assert b'"new"' in answer.data
        assert b"a note" not in answer.data

    def test_one_that_stands_nowhere_yet(self, serving: Serving) -> None:
        """An empty description would be a wrong one."""
        serving.list("0xb", described("https://p.example/2"))

        answer = serving.offering("0xb")

        assert answer.status_code == 503
        assert "ask again soon" in answer.json["detail"]


class TestSilentNodes:
    @pytest.mark.parametrize("fault", ["hangs", "fails"])
    def test_another_copy_is_read(self, serving: Serving, nodes: tuple[Sandbox, Sandbox], fault: str) -> None:
        nodes[0].faults(**({"hang": True} if fault == "hangs" else {"error_rate": 1}))

        answer = serving.offering("0xa")

        assert answer.status_code == 200
        assert same_graph(answer.data, described(G))

    def test_without_one_it_says_so(self, serving: Serving, nodes: tuple[Sandbox, Sandbox]) -> None:
        """The ring does not know yet that the node is silent; an empty description would be a wrong one."""
        only = described("https://p.example/2")
        serving.place("a", only)
        serving.list("0xb", only)
        nodes[0].faults(error_rate=1)

        answer = serving.offering("0xb")

        assert answer.status_code == 503
        assert answer.json["detail"] == "no node that holds https://p.example/2 answers: a"
        assert serving.offering("0xa").status_code == 200, "what else there is can be had"

    def test_when_the_ring_knows_of_it_too(self, serving: Serving) -> None:
        only = described("https://p.example/2")
        serving.has("c", "http://c.invalid/catalogue", "down")
        serving.note("c", only)
        serving.list("0xb", only)

        answer = serving.offering("0xb")

        assert answer.status_code == 503
        assert "c" in answer.json["detail"]

    def test_with_all_of_them_silent(self, engine: Engine) -> None:
        serving = Serving(engine)
        serving.has("a", f"http://127.0.0.1:{closed_port()}/catalogue")
        serving.note("a", described(G))
        serving.list("0xa", described(G))

        assert serving.offering("0xa").status_code == 503


class TestQueries:
    @pytest.mark.parametrize("path", ["/sparql", "/catalogue/sparql"])
    def test_every_graph_counts_once(self, serving: Serving, path: str) -> None:
        answer = serving.client.post(path, data={"query": COUNT}, headers={"Accept": "application/json"})

        assert answer.json is not None
        assert answer.json["results"]["bindings"][0]["n"]["value"] == str(described(G).triples.count("\n"))
        assert answer.headers["Catena-Completeness"] == "complete"

    def test_what_may_be_missing_is_told(self, serving: Serving) -> None:
        serving.has("c", "http://c.invalid/catalogue", "down")
        serving.note("c", described("https://p.example/2"))
        serving.list("0xb", described("https://p.example/2"))

        answer = serving.client.get("/sparql", query_string={"query": COUNT})

        assert answer.headers["Catena-Completeness"] == "partial; missing=c"

    def test_a_delisted_offering_is_not_seen_though_copies_are_still_there(self, serving: Serving) -> None:
        serving.withdraw("0xa")

        answer = serving.client.get(
            "/sparql", query_string={"query": "ASK { ?s ?p ?o }"}, headers={"Accept": "application/json"}
        )

        assert answer.json is not None
        assert answer.json["boolean"] is False


def test_copies_on_a_node_that_has_left_are_none(engine: Engine) -> None:
    serving = Serving(engine)
    serving.has("a", "http://a.invalid/catalogue")
    serving.list("0xa", described(G))
    serving.note("former", described(G))
    assert content(serving.client.get("/offerings?state=placed,waiting"))["offerings"][0]["state"] == "waiting"

    serving.note("a", described(G))

    def nodes() -> list[str]:
        return list(content(serving.client.get("/offerings"))["offerings"][0]["nodes"])

    eventually(lambda: nodes() == ["a"])
