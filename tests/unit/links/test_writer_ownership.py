"""Graphs of nodes' owners: never touched, whatever an offering is called. And writes that nodes take together."""

from __future__ import annotations

import time
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import DeliveryError, StoppedError
from tests.helpers.odd_server import Handler, OddServer, saying
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.writing import NO_GRAPHS, G, Writing, placement_in, writes_to
from topology import records, topics, write_batches
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.rdf.offering_graph import digest
from topology.records import Endpoints, Intent, Node, NodeProtocol, Placement, Write, placement_key

OWN = '<https://own.example/s> <https://own.example/p> "words of the owner" .\n'
NUMBERS = ("0.9580", "1.0", "1.00")
LANE = f"{topics.writes_topic('n').name} 0"


pytestmark = pytest.mark.usefixtures("quick_writer")


@pytest.fixture(params=["sedimark", "graph-store", "together", "update"])
def writing(request: pytest.FixtureRequest, node: Sandbox) -> Writing:
    """Give a writer and a node of the sandbox, by each protocol."""
    return over(node, request.param)


def over(node: Sandbox, way: str = "together") -> Writing:
    protocol: NodeProtocol = "sedimark" if way == "sedimark" else "graph-store"
    endpoints = Endpoints(
        graph_store=f"{node.url}/data" if way == "together" else "",
        update=f"{node.url}/update" if way in ("together", "update") else "",
    )
    return Writing(node.url, protocol=protocol, endpoints=endpoints)


def keep(node: Sandbox, graph: str = G, content: str = OWN) -> None:
    """Put a graph there as the node's owner does."""
    NodeClient(node.url, WebClient(5), "graph-store").put(graph, content)


def held(node: Sandbox, graph: str = G) -> str | None:
    return NodeClient(node.url, WebClient(5), "graph-store").get(graph)


def put_of(graph: str, note: str = "a note", version: int = 5) -> Write:
    what = described(graph, note)
    return Write("put", "n", graph, "0xa", version, 1, 3, what.digest, what.triples)


def letters(electrons: list[Electron]) -> list[Electron]:
    return [electron for electron in electrons if electron.topic == topics.DEAD_LETTERS]


class TestOldBackups:
    def test_a_put_over_content_that_catena_put_there_before_its_deletion_is_done(
        self, writing: Writing, node: Sandbox
    ) -> None:
        """The node was set back to an old backup: the graph stands there again, and its placement is gone."""
        writing.take(put_of(G, "first"))
        backup = held(node)
        assert backup is not None
        writing.delete()
        keep(node, content=backup)

        sent = writing.take(put_of(G, "second", version=7))

        assert letters(sent) == []
        assert "second" in (held(node) or "")

    def test_a_put_over_content_that_catena_put_on_another_node_is_done(self, node: Sandbox) -> None:
        writing = over(node)
        writing.take(put_of(G, "first"))
        writing.remember(G, described(G, "older").digest, node="another")
        writing.delete()
        keep(node, content=described(G, "older").triples)

        assert letters(writing.take(put_of(G, "second", version=7))) == []

    def test_a_put_over_content_whose_numbers_the_node_keeps_by_value_is_done(
        self, writing: Writing, node: Sandbox
    ) -> None:
        """The node gives ``0.9580`` back as ``0.958``, and 1.0 and 1.00 as one statement."""
        numbers = "".join(f'<{G}> <urn:n> "{n}"^^<http://www.w3.org/2001/XMLSchema#decimal> .\n' for n in NUMBERS)
        what = described(G).triples + numbers
        writing.take(Write("put", "n", G, "0xa", 5, 1, 3, digest(what), what))
        backup = held(node)
        assert backup is not None
        assert "0.9580" not in backup
        writing.delete()
        keep(node, content=backup)

        assert letters(writing.take(put_of(G, "second", version=7))) == []

    def test_a_put_over_an_owners_graph_after_a_deletion_is_refused(self, writing: Writing, node: Sandbox) -> None:
        writing.take(put_of(G, "first"))
        writing.delete()
        keep(node)

        assert len(letters(writing.take(put_of(G, "second", version=7)))) == 1
        assert held(node) == OWN


class TestOwnersGraphs:
    def test_a_put_over_an_owners_graph_is_refused_and_told(self, writing: Writing, node: Sandbox) -> None:
        keep(node)

        sent = writing.take(put_of(G))

        placement = placement_in(sent)
        assert placement is not None
        assert (placement.digest, placement.refused, placement.foreign) == ("", described(G).digest, True)
        (letter,) = letters(sent)
        assert letter.headers["error-type"] == "ConflictError"
        assert G in letter.headers["error"]
        assert "Catena did not put there" in letter.headers["error"]
        assert held(node) == OWN

    def test_the_delete_of_a_refused_offering_touches_nothing_and_settles(
        self, writing: Writing, node: Sandbox
    ) -> None:
        keep(node)
        writing.put()

        (electron,) = writing.delete()

        assert (electron.key, electron.value) == (placement_key("n", G), None)
        assert held(node) == OWN

    def test_a_graph_that_the_owner_adds_later_is_found(self, writing: Writing, node: Sandbox) -> None:
        writing.take(put_of("https://p.example/2"))
        keep(node)

        placement = writing.put()

        assert placement is not None
        assert placement.foreign
        assert held(node) == OWN

    def test_a_graph_that_the_owner_adds_after_catenas_was_deleted_is_the_owners(
        self, writing: Writing, node: Sandbox
    ) -> None:
        writing.put()
        writing.delete()
        keep(node)

        placement = writing.put(version=7)

        assert placement is not None
        assert placement.foreign
        assert [electron.value for electron in writing.delete(version=8)] == [None]
        assert held(node) == OWN

    def test_the_same_content_is_as_good_as_catenas(self, writing: Writing, node: Sandbox) -> None:
        """A crash before the acknowledgement leaves it."""
        keep(node, content=described(G).triples)

        placement = writing.put()

        assert placement is not None
        assert placement.digest

    @pytest.mark.parametrize("change", ["newer", "altered by the node"])
    def test_a_graph_with_an_intent_is_catenas_whatever_it_holds(
        self, writing: Writing, node: Sandbox, change: str
    ) -> None:
        """A crash before the acknowledgement leaves it, and the next description is another one."""
        writing.driver.put(topics.INTENTS, LANE, records.to_text(Intent("n", (G,))))
        keep(node, content=described(G, "before").triples if change == "newer" else OWN)

        placement = writing.put("after")

        assert placement is not None
        assert placement.digest
        assert "after" in str(held(node))

    @pytest.mark.parametrize("digest", ["d", ""])
    def test_a_graph_with_a_placement_is_catenas_whatever_it_holds(
        self, writing: Writing, node: Sandbox, digest: str
    ) -> None:
        """It was edited by hand, or restored from an old backup; or it may stand there."""
        keep(node)
        writing.remember(G, digest)

        placement = writing.put()

        assert placement is not None
        assert placement.digest

    def test_an_intent_is_published_before_the_put(self, server: OddServer) -> None:
        writing = Writing(f"{server.url}/catalogue")
        server.answers["/catalogue/sparql"] = saying(NO_GRAPHS)
        published: list[Any] = []

        def take(request: Handler) -> None:
            published.extend(e.value for e in writing.driver.sent if e.topic == topics.INTENTS)
            request.say()

        server.answers["/catalogue/manager"] = take
        writing.put()

        assert [records.from_text(value, Intent) for value in published] == [Intent("n", (G,))]

    def test_a_node_that_cannot_say_what_it_holds_is_not_written_to(self, server: OddServer) -> None:
        writing = Writing(f"{server.url}/catalogue")
        server.answers["/catalogue/sparql"] = saying(b"no", 500)

        told = writing.put()
        assert told is not None
        assert told.unclaimed
        assert writes_to(server) == []

    def test_a_graph_that_appears_after_a_node_could_not_say_what_it_holds_is_its_owners(
        self, server: OddServer, writing: Writing, node: Sandbox
    ) -> None:
        told = Placement("n", G, "0xa", 5, 1, 3, problem="no", unclaimed=True)
        writing.driver.put(topics.PLACEMENTS, placement_key("n", G), records.to_text(told))
        keep(node)

        writing.put()
        writing.delete()

        assert writing.held == OWN

    def test_a_conflict_ends_when_the_owner_removes_the_graph(self, writing: Writing, node: Sandbox) -> None:
        keep(node)
        writing.put()
        before = len(writing.driver.sent)
        writing.link._review_conflicts()
        assert writing.driver.sent[before:] == []

        NodeClient(node.url, WebClient(5), "graph-store").delete(G)
        writing.link._review_conflicts()

        (electron,) = writing.driver.sent[before:]
        assert (electron.topic, electron.key, electron.value) == (topics.PLACEMENTS, placement_key("n", G), None)

    def test_an_abandoned_write_that_a_crashed_writer_may_have_done_may_stand_there(self, server: OddServer) -> None:
        writing = Writing(f"{server.url}/catalogue", "suspect")
        writing.driver.put(topics.INTENTS, LANE, records.to_text(Intent("n", (G,))))

        assert writing.put() == Placement("n", G, "0xa", 5, 1, 3)

    def test_an_intent_that_cannot_be_sent_since_the_link_has_ended_is_no_failure(
        self, node: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writing = over(node)

        def send(*_: Any, **__: Any) -> None:
            raise DeliveryError("it has ended") from StoppedError()

        monkeypatch.setattr(writing.link, "send", send)

        with pytest.raises(StoppedError):
            writing.put()
        assert held(node) is None

    def test_an_intent_stays_until_the_placement_is_known(self, node: Sandbox) -> None:
        writing = over(node)
        other = "https://p.example/2"
        for graph in (G, other):
            sent = writing.driver.transform_batch([Electron(graph, records.to_text(put_of(graph)), topic=LANE[:-2])])

        (intent,) = [records.from_text(e.value, Intent) for e in sent if e.topic == topics.INTENTS]
        assert intent.graphs == (G, other)


class TestBatches:
    def test_writes_go_together_and_each_is_told(self, node: Sandbox) -> None:
        writing = over(node)
        graphs = [f"https://p.example/{number}" for number in range(10)]
        writing.take(*map(put_of, graphs[:3]))

        sent = writing.take(
            Write("delete", "n", graphs[0], "0xa", 6, 1, 3),
            *(put_of(graph, "new", 6) for graph in graphs[1:]),
        )

        told = {electron.key: electron.value for electron in sent}
        assert told[placement_key("n", graphs[0])] is None
        assert all(records.from_text(told[placement_key("n", graph)], Placement).digest for graph in graphs[1:])
        assert NodeClient(node.url, WebClient(5)).holds(graphs) == set(graphs[1:])
        assert all("new" in str(held(node, graph)) for graph in graphs[1:])

    def test_they_take_one_update(self, server: OddServer) -> None:
        writing = odd_with_update(server)
        server.answers["/catalogue/update"] = saying(b"", 204)

        assert len(writing.take(*(put_of(f"https://p.example/{number}") for number in range(10)))) == 10
        assert [asked.path for asked in writes_to(server)] == ["/catalogue/update"]

    @pytest.mark.parametrize("status", [400, 403, 413, 500])
    def test_after_an_error_each_is_written_by_itself(self, server: OddServer, status: int) -> None:
        writing = odd_with_update(server)
        server.answers["/catalogue/update"] = saying(b"one of these is bad", status)

        def take(request: Handler) -> None:
            request.say(b"bad", 400 if "bad" in request.path else 204)

        server.answers["/catalogue/data"] = take
        sent = writing.take(*(put_of(f"https://p.example/{name}") for name in ("a", "bad", "c")))

        placements = [records.from_text(e.value, Placement) for e in sent if e.topic == topics.PLACEMENTS]
        assert [bool(placement.digest) for placement in placements] == [True, False, True]
        assert len(letters(sent)) == 1

    def test_a_pause_that_the_node_asks_for_keeps_them_together(self, server: OddServer) -> None:
        """One by one, the writes would be so many further requests to a node that wants fewer."""
        writing = odd_with_update(server)
        updates: list[float] = []

        def take(request: Handler) -> None:
            updates.append(time.monotonic())
            request.say(b"", 429 if len(updates) == 1 else 204, Retry_After="1")

        server.answers["/catalogue/update"] = take

        assert len(writing.take(*(put_of(f"https://p.example/{number}") for number in range(10)))) == 10
        assert [asked.path for asked in writes_to(server)] == ["/catalogue/update"] * 2
        assert updates[1] - updates[0] >= 1

    def test_one_that_an_owners_graph_keeps_out_does_not_keep_out_others(self, node: Sandbox) -> None:
        keep(node, "https://p.example/own")
        writing = over(node)

        sent = writing.take(*(put_of(f"https://p.example/{name}") for name in ("a", "own", "c")))

        assert len(letters(sent)) == 1
        assert held(node, "https://p.example/own") == OWN
        assert held(node, "https://p.example/a")
        assert held(node, "https://p.example/c")

    def test_two_writes_of_a_graph_stay_in_order(self, node: Sandbox) -> None:
        writing = over(node)

        writing.take(put_of(G, "first", 5), put_of(G, "second", 6), put_of("https://p.example/2"))

        assert "second" in str(held(node))

    def test_an_update_is_bounded(self, server: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(write_batches, "_MOST_CHARACTERS", 500)
        writing = odd_with_update(server)
        server.answers["/catalogue/update"] = saying(b"", 204)

        writing.take(*(put_of(f"https://p.example/{number}", "x" * 100) for number in range(10)))

        assert len(writes_to(server)) > 2
        assert all(len(asked.body) < 2000 for asked in writes_to(server))

    @pytest.mark.parametrize("note", ["\\u0022 } ; DROP ALL ; INSERT DATA { ", "\x01", "\\U0001F600", '"', "\u2028\n"])
    def test_any_literal_arrives(self, node: Sandbox, note: str) -> None:
        writing = over(node)

        writing.take(put_of(G, note), put_of("https://p.example/2"))

        assert NodeClient(node.url, WebClient(5)).digests([G]) == {G: described(G, note).digest}
        assert held(node, "https://p.example/2")

    def test_a_node_that_goes_away_meanwhile_gets_nothing(self, node: Sandbox) -> None:
        writing = over(node)
        writing.change(2, Node("n", node.url, "suspect"))

        assert writing.take(put_of(G), put_of("https://p.example/2")) == []
        assert held(node) is None


def odd_with_update(server: OddServer) -> Writing:
    server.answers["/catalogue/sparql"] = saying(NO_GRAPHS)
    url = f"{server.url}/catalogue"
    return Writing(url, protocol="graph-store", endpoints=Endpoints("", f"{url}/data", f"{url}/update"))
