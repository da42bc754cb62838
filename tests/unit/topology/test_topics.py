"""Topics: names that Kafka takes, and places that everybody computes alike."""

from __future__ import annotations

import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from topology import topics

KAFKA_ALLOWS = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@given(node=st.text(min_size=1, max_size=300))
def test_every_node_has_a_topic_that_kafka_allows(node: str) -> None:
    assert KAFKA_ALLOWS.fullmatch(topics.writes_topic(node).name)


@given(nodes=st.lists(st.text(alphabet="aA-_. /:é", min_size=1, max_size=6), min_size=2, max_size=30, unique=True))
def test_no_two_nodes_share_a_topic(nodes: list[str]) -> None:
    assert len({topics.writes_topic(node).name for node in nodes}) == len(nodes)


def test_long_ids_that_begin_alike_have_topics_of_their_own() -> None:
    long = "n" * 200

    assert topics.writes_topic(long + "1").name != topics.writes_topic(long + "2").name


def test_a_plain_id_stands_in_its_topic_as_it_is() -> None:
    assert topics.writes_topic("node_1").name == "catena.writes.node_1"
    assert topics.writes_topic("node_1", "other").name == "other.node_1"


@given(graph=st.text(), partitions=st.integers(1, 100))
def test_a_graph_s_partition_exists_and_is_always_the_same(graph: str, partitions: int) -> None:
    assert topics.graph_partition(graph, partitions) == zlib.crc32(graph.encode()) % partitions


def test_offerings_and_placements_have_equally_many_partitions() -> None:
    """A router is given both of a graph only then."""
    partitions = {spec.name: spec.partitions for spec in topics.SPECS}

    assert partitions[topics.OFFERINGS] == partitions[topics.PLACEMENTS]


def test_what_is_the_state_is_compacted_and_what_is_not_is_not() -> None:
    compacted = {spec.name for spec in topics.SPECS if spec.compacted}

    assert compacted == {spec.name for spec in topics.SPECS} - {topics.DEAD_LETTERS}
    assert not topics.writes_topic("node_1").compacted
