"""`catena ring`: where graphs stand, and what a change would move, as the ring itself decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from catena_core.embedded import EmbeddedBroker
from tests.helpers.catena_up import catalogue_list
from tests.helpers.odd_server import closed_port
from topology import records, topics
from topology.cli.main import main
from topology.records import Node, Placement, Ring
from topology.ring import RingView

RING = Ring(7, tuple(Node(f"node_{number}", f"http://n{number}") for number in (1, 2, 3)), 150, 2)
GRAPH = "https://provider.example/offerings/1"


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with EmbeddedBroker(topics.SPECS) as broker:
        producer = Producer({"bootstrap.servers": broker.endpoint})
        producer.produce(topics.RING, records.to_text(RING), records.RING_KEY)
        producer.produce(
            topics.PLACEMENTS,
            records.to_text(Placement("node_2", GRAPH, "0x1", 1, 7, 0, "abc")),
            records.placement_key("node_2", GRAPH),
            partition=0,
        )
        producer.flush()
        yield broker.endpoint


@pytest.fixture
def nodes(tmp_path: Path) -> str:
    return catalogue_list(tmp_path / "nodes.json", [f"http://n{number}:3030/catalogue" for number in range(4)])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ring", *arguments], env={"KAFKA_ENDPOINT": "", "COLUMNS": "200"})


def test_show_of_a_graph_tells_where_it_belongs_and_where_it_stands(kafka: str) -> None:
    found = json.loads(run("show", GRAPH, "--json", "-k", kafka).output)

    assert found == {"graph": GRAPH, "belongs": list(RingView(RING).owners(GRAPH)), "stands": ["node_2"]}


def test_show_of_what_is_no_iri_is_refused(nodes: str) -> None:
    result = CliRunner().invoke(main, ["ring", "show", "--list", nodes, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"])

    assert (result.exit_code, "is no IRI" in result.output) == (2, True)


def test_show_tells_the_share_of_each_node(kafka: str) -> None:
    found = json.loads(run("show", "--json", "-k", kafka).output)

    assert (found["epoch"], found["replicas"], len(found["nodes"])) == (7, 2, 3)
    assert sum(node["share"] for node in found["nodes"]) == pytest.approx(1, abs=0.001)
    assert "epoch 7: 3 nodes, 2 copies of each graph" in run("show", "-k", kafka).output


def test_simulate_of_a_node_that_leaves_moves_its_copies_alone(nodes: str) -> None:
    found = json.loads(run("simulate", "--remove", "node_1", "--list", nodes, "--graphs", "1000", "--json").output)
    by_node = {node["id"]: node for node in found["nodes"]}

    assert by_node["node_1"]["after"] == 0
    assert found["written"] == by_node["node_1"]["before"] == by_node["node_1"]["deleted"]
    assert all(node["deleted"] == 0 for name, node in by_node.items() if name != "node_1")


def test_simulate_of_a_node_that_comes_moves_its_share_alone(nodes: str) -> None:
    found = json.loads(run("simulate", "--add", "new=2", "--list", nodes, "--graphs", "1000", "--json").output)
    by_node = {node["id"]: node for node in found["nodes"]}

    assert found["written"] == by_node["new"]["after"] == by_node["new"]["written"] > 0
    assert all(node["written"] == 0 for name, node in by_node.items() if name != "new")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "say what changes"),
        (("--remove", "node_9"), "there is no node node_9"),
        (("--add", "node_1"), "there is a node node_1 already"),
        (("--add", "x=heavy"), "should be ID=WEIGHT"),
        (("--add", ""), "should be ID=WEIGHT"),
        (("--add", "x", "--add", "x=2"), "x is given twice"),
        (("--remove", "node_1", "--weight", "node_1=2"), "node_1 leaves"),
    ],
)
def test_simulate_of_a_mistake_says_what_is_wrong(nodes: str, given: tuple[str, ...], said: str) -> None:
    result = run("simulate", "--list", nodes, *given)

    assert (result.exit_code, said in result.output) == (2, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--replicas", "9"), "4 nodes hold 4 copies of each graph, not 9"),
        (tuple(f"--remove=node_{number}" for number in (1, 2, 3, 4)), "0 nodes hold 0 copies of each graph, not 2"),
    ],
)
def test_simulate_says_that_there_are_fewer_nodes_than_copies(nodes: str, given: tuple[str, ...], said: str) -> None:
    assert said in run("simulate", "--list", nodes, *given).output


def test_show_says_why_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topology.cli.kafka.TIMEOUT", 2.0)
    result = run("show", "-k", f"127.0.0.1:{closed_port()}")

    assert (result.exit_code, "Connection refused" in result.output) == (1, True)
    assert "start one, or name the right address" in result.output


def test_show_without_a_ring_says_what_publishes_one() -> None:
    with EmbeddedBroker(topics.SPECS) as broker:
        result = run("show", "-k", broker.endpoint)

    assert (result.exit_code, "does a monitor run?" in result.output) == (1, True)
