"""The progress of the topology, counted from its topics on the embedded broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from tests.helpers.records import node, offering, ring
from tests.helpers.waiting import eventually
from topology import records, topics
from topology.records import AddressEvent, Placement
from topology.runner.progress import Progress, ProgressReader

GRAPH = "https://p.example/1"


class World:
    """The topics, and a reader of their progress."""

    def __init__(self, endpoint: str, reader: ProgressReader) -> None:
        self._producer = Producer({"bootstrap.servers": endpoint, "log_level": 0})
        self._reader = reader

    def say(self, topic: str, key: str, record: object) -> None:
        value = None if record is None else records.to_text(record)  # type: ignore[arg-type]
        self._producer.produce(topic, value, key)
        assert self._producer.flush(120) == 0

    def place(self, node: str, digest: str) -> None:
        placement = Placement(node, GRAPH, "0xa", version=1, epoch=1, partition=0, digest=digest)
        self.say(topics.PLACEMENTS, records.placement_key(node, GRAPH), placement)

    def becomes(self, **counts: object) -> Progress:
        """Wait until the progress has these counts."""

        def look() -> Progress | None:
            progress = self._reader.read()
            return progress if replace(progress, **counts) == progress else None  # type: ignore[arg-type]

        found: Progress = eventually(look, message=lambda: f"{self._reader.read()}")
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with (
        EmbeddedBroker(topics.SPECS) as broker,
        closing(ProgressReader(broker.endpoint, CLIENT_PROPERTIES)) as reader,
    ):
        yield World(broker.endpoint, reader)


def test_offering_counts_as_placed_once_each_of_its_nodes_has_its_content(world: World) -> None:
    one = offering(GRAPH)
    world.say(topics.RING, records.RING_KEY, ring(1, [node("a"), node("b"), node("c", "down")]))
    world.say(topics.ADDRESSES, "0xa", AddressEvent("listed", 1))
    assert not world.becomes(listed=1, fetched=0, placed=0, epoch=1, replicas=2).complete

    world.say(topics.OFFERINGS, "0xa", one)
    world.place("a", one.digest)
    world.place("b", "of an older content")
    assert not world.becomes(listed=1, fetched=1, placed=0, on_node={"a": 1, "b": 1, "c": 0}).complete

    world.place("b", one.digest)
    progress = world.becomes(listed=1, fetched=1, placed=1)
    assert progress.complete
    assert progress.line() == "listed 1, fetched 1, placed 1; on nodes: a 1, b 1, c 0 (down)"


def test_delisted_address_counts_no_more_and_a_withdrawn_copy_neither(world: World) -> None:
    one = offering(GRAPH)
    world.say(topics.RING, records.RING_KEY, ring(1, [node("a")], replicas=1))
    world.say(topics.ADDRESSES, "0xa", AddressEvent("listed", 1))
    world.say(topics.OFFERINGS, "0xa", one)
    world.place("a", one.digest)
    assert world.becomes(listed=1, fetched=1, placed=1).complete

    world.say(topics.ADDRESSES, "0xa", AddressEvent("delisted", 2))
    world.say(topics.OFFERINGS, "0xa", None)
    world.say(topics.PLACEMENTS, records.placement_key("a", GRAPH), None)
    assert not world.becomes(listed=0, fetched=0, placed=0, on_node={"a": 0}).complete


def test_without_nodes_nothing_is_complete(world: World) -> None:
    world.say(topics.ADDRESSES, "0xa", AddressEvent("listed", 1))
    world.say(topics.OFFERINGS, "0xa", offering(GRAPH))

    progress = world.becomes(listed=1, fetched=1, placed=0, replicas=0)
    assert not progress.complete
    assert progress.line().endswith("on nodes: none yet")
