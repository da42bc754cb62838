"""Whose a graph on a node is, as placements and intents tell; the node's part of it is in the tests of the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import CatenaError
from catena_core.table import TableContent
from tests.helpers.fake_node import FakeNode
from topology import provenance as module
from topology import records, topics
from topology.clients.http import UnsafeError, WebError
from topology.former_contents import FormerContents
from topology.provenance import Provenance
from topology.rdf.by_value import digest_by_value
from topology.rdf.offering_graph import digest
from topology.records import Intent, Placement, Write, placement_key

G, H = "https://p.example/1", "https://p.example/2"
LANE, OTHER_LANE = "catena.writes.n 0", "catena.writes.n 1"
TRIPLES = f'<{G}> <urn:p> "0.50"^^<http://www.w3.org/2001/XMLSchema#decimal> .\n'


class Topics:
    """The topics of placements and of intents, which tables follow only when they are told to catch up."""

    def __init__(self) -> None:
        self.tables: dict[str, TableContent[Any]] = {}
        self.published: list[tuple[Electron, bool]] = []
        self.late: list[tuple[str, str, Any]] = []
        self.error: CatenaError | None = None
        self.caught_up: list[str] = []

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        topics_of_test = self

        class Table(TableContent[Any]):
            def catch_up(self, timeout: float | None = None) -> None:
                topics_of_test.caught_up.append(topic)
                topics_of_test.apply(topic)

        self.tables[topic] = Table(**content)
        return self.tables[topic]

    def publish(self, electron: Electron, wait: bool) -> None:
        self.published.append((electron, wait))

    def apply(self, topic: str) -> None:
        if self.error is not None:
            raise self.error
        for name, key, value in [one for one in self.late if one[0] == topic]:
            self.tables[name].apply(key, value)

    def place(self, node: str = "n", graph: str = G, late: bool = False, **more: Any) -> None:
        placement = Placement(node, graph, "0xa", 1, 1, 2, **{"digest": "d", **more})
        self._put(topics.PLACEMENTS, placement_key(node, graph), records.to_text(placement), late)

    def intend(self, lane: str, *graphs: str, node: str = "n", late: bool = False) -> None:
        self._put(topics.INTENTS, lane, records.to_text(Intent(node, graphs)), late)

    def _put(self, topic: str, key: str, value: str, late: bool) -> None:
        if late:
            self.late.append((topic, key, value))
        else:
            self.tables[topic].apply(key, value)


class World:
    """A provenance, its topics, and one node."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.node: Any = FakeNode()
        self.former = FormerContents()
        self.provenance = Provenance(self.topics.table, self.topics.publish, topics.PLACEMENTS, self.former)

    def owns(self, graph: str = G, lane: str = LANE) -> bool:
        return self.provenance.owns("n", graph, lane)

    def claim(self, *graphs: str, lane: str = LANE) -> set[str]:
        """Claim graphs; return those of the owner."""
        writes = [Write("put", "n", graph, "0xa", 1, 1, 2, digest(TRIPLES), TRIPLES) for graph in graphs]
        return self.provenance.claim(self.node, writes, lane)

    def intents(self) -> list[Intent]:
        return [records.from_text(electron.value, Intent) for electron, _ in self.topics.published]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("known", "owned"),
    [
        (lambda _: None, False),
        (lambda topics: topics.place(), True),
        (lambda topics: topics.place(digest=""), True),
        (lambda topics: topics.place(foreign=True), False),
        (lambda topics: topics.place(node="another"), False),
        (lambda topics: topics.intend(LANE, G), True),
        (lambda topics: topics.intend(OTHER_LANE, G), False),
        (lambda topics: topics.intend(LANE, G, node="another"), False),
        (lambda topics: (topics.intend(LANE, G), topics.place(foreign=True)), False),
    ],
    ids=[
        "nothing",
        "placement",
        "placement of unknown content",
        "the owner's",
        "another node",
        "intent",
        "intent of another lane",
        "intent for another node",
        "the owner's, in spite of an intent",
    ],
)
def test_a_graph_is_catenas_by_its_placement_or_by_an_intent_of_its_lane(
    world: World, known: Callable[[Topics], object], owned: bool
) -> None:
    known(world.topics)
    assert world.owns() is owned


def test_a_claim_is_published_and_waited_for_and_needs_no_second_one(world: World) -> None:
    assert world.claim(G, H) == set()
    ((electron, waited),) = world.topics.published
    assert (electron.topic, electron.key, waited) == (topics.INTENTS, LANE, True)
    assert world.intents() == [Intent("n", (G, H))]
    assert world.owns(G) and world.owns(H)
    assert world.claim(G) == set() and len(world.topics.published) == 1


def test_a_claim_of_a_placed_graph_asks_neither_the_node_nor_kafka(world: World) -> None:
    world.topics.place()
    world.node.problem = WebError("it must not be asked")
    assert world.claim(G) == set()
    assert world.topics.published == []


def test_only_graphs_that_the_node_did_not_have_are_claimed(world: World) -> None:
    world.node.graphs[G] = "words of the owner"
    assert world.claim(G, H) == {G}
    assert world.intents() == [Intent("n", (H,))]
    assert not world.owns(G)


@pytest.mark.parametrize("content", ["as sent", "by value", "former", "former, by value"])
def test_content_that_catena_knows_is_its_own_in_whichever_form_the_node_shows_it(world: World, content: str) -> None:
    shown = {"as sent": digest(TRIPLES), "former": "older"}.get(content, "odd")
    if content == "by value":
        world.node.by_value = {"odd": digest_by_value(TRIPLES)}
    if content.startswith("former"):
        world.topics.place("another", by_value="of older", digest="older")
        world.node.by_value = {"odd": "of older"}
    world.node.graphs[G] = shown
    assert world.claim(G) == set()
    assert world.owns()


def test_content_too_large_to_be_read_is_the_owners(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def digests(graphs: Any, by_value: bool = False) -> dict[str, str]:
        raise UnsafeError("too large an answer")

    world.node.graphs[G] = "large"
    monkeypatch.setattr(world.node, "digests", digests)
    assert world.claim(G) == {G}


@pytest.mark.parametrize("late", ["placement", "intent"])
def test_a_graph_that_another_instance_put_there_a_moment_ago_is_not_the_owners(world: World, late: str) -> None:
    world.node.graphs[G] = "of another instance"
    if late == "placement":
        world.topics.place(late=True)
    else:
        world.topics.intend(LANE, G, late=True)
    assert world.claim(G) == set()
    assert world.topics.caught_up == [topics.INTENTS, topics.PLACEMENTS], "a placement replaces an intent"


def test_a_table_that_does_not_catch_up_puts_the_write_off(world: World) -> None:
    world.node.graphs[G] = "words of the owner"
    world.topics.error = CatenaError("it took too long")
    with pytest.raises(WebError, match="too long"):
        world.claim(G)
    assert world.topics.published == []


def test_an_intent_keeps_those_of_its_lane_that_have_no_placement_yet(world: World) -> None:
    world.topics.intend(LANE, G, H)
    world.claim("https://p.example/3")
    world.topics.place(graph=G)
    world.topics.place(graph=H)
    world.claim("https://p.example/4")
    world.claim("https://p.example/5", lane=OTHER_LANE)
    first, second, third = [[graph[-1] for graph in intent.graphs] for intent in world.intents()]
    assert (first, second, third) == (["1", "2", "3"], ["3", "4"], ["5"])


def test_a_deleted_graph_is_the_owners_from_then_on(world: World) -> None:
    world.claim(G, H)
    world.provenance.deleted("n", G, LANE)
    world.topics.intend(LANE, H)
    assert world.intents()[1:] == [Intent("n", (H,))]
    assert [waited for _, waited in world.topics.published] == [True, False]
    assert world.owns(H) and not world.owns(G)


def test_the_last_graph_of_a_lane_leaves_an_empty_intent(world: World) -> None:
    world.claim(G)
    world.provenance.deleted("n", G, LANE)
    assert world.intents()[-1] == Intent("", ())
    world.topics.intend(LANE, node="")
    assert not world.owns()


def test_a_deletion_of_what_was_not_intended_is_not_published(world: World) -> None:
    world.topics.place()
    world.provenance.deleted("n", G, LANE)
    assert world.topics.published == []


def test_claims_of_a_lane_that_went_to_another_instance_are_forgotten(world: World) -> None:
    world.claim(G)
    world.provenance.forget_claims()
    assert not world.owns()


def test_claims_are_kept_in_bounds_and_hold_by_their_intent_beyond(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_CLAIMS", 1)
    world.claim(G, H)
    world.claim("https://p.example/3")
    assert not world.owns(G)
    world.topics.intend(LANE, *world.intents()[-1].graphs)
    assert world.owns(G) and world.owns(H)


def test_conflicts_are_the_owners_graphs_of_the_nodes_that_are_asked_for(world: World) -> None:
    world.topics.place(foreign=True)
    world.topics.place(graph=H)
    world.topics.place("another", foreign=True)
    found = world.provenance.conflicts(["n", "empty"])
    assert [(node, [trace.graph for trace in traces]) for node, traces in found.items()] == [("n", [G])]


def test_a_placement_is_known_whoever_its_graph_belongs_to(world: World) -> None:
    world.topics.place("a b", foreign=True)
    assert world.provenance.is_placed("a b", G) and not world.provenance.is_placed("n", G)
