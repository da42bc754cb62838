"""`catena nodes list`: every node with its state, its graphs and what is wrong with it; and errors that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from catena_core.embedded import EmbeddedBroker
from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from topology import records, topics
from topology.cli.main import main
from topology.records import RING_KEY, Node, Placement, Ring, placement_key

NODES = {
    "epoch": 3,
    "nodes": [
        {
            "id": "node_1",
            "url": "http://a:3030/catalogue",
            "state": "up",
            "graphs_placed": 12,
            "graphs_read": 6,
            "conflicts": 4,
            "problem": "it does not take 2 graphs: disk full",
        },
        {
            "id": "node_2",
            "url": "http://b:3030/catalogue",
            "state": "draining",
            "graphs_placed": 7,
            "graphs_read": 1,
            "graphs_missing": 5,
            "weight": 2.5,
            "held_down_until": 1_700_000_000_000,
            "inspection": {"node": "node_2", "at": 1, "lost": 5, "own_form": 3, "repair_at": 1_700_000_000_000},
        },
    ],
}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["nodes", *arguments], env={"COLUMNS": "200", "KAFKA_ENDPOINT": ""})
    return result.exit_code, result.output


@pytest.fixture
def gateway(server: OddServer) -> str:
    server.answers["/nodes"] = saying_json(NODES)
    return server.url


def test_list_shows_state_weight_graphs_and_remarks(gateway: str) -> None:
    status, output = run("list", "-u", gateway)

    assert status == 0
    first, second = (next(line for line in output.splitlines() if name in line) for name in ("node_1", "node_2"))
    assert first.split()[:5] == ["node_1", "up", "1", "12", "0"]
    assert second.split()[:5] == ["node_2", "draining", "2.5", "7", "5"]
    said = " ".join(output.split())
    assert "came and went" in said
    assert "disk full" in said
    assert "4 graphs of its owner" in said
    assert "accepts graphs and loses them" in said
    assert "3 graphs in a form of its own" in said


def test_list_in_json_has_one_object_a_node(gateway: str) -> None:
    status, output = run("list", "-u", gateway, "--json")
    found = [json.loads(line) for line in output.splitlines()]

    assert status == 0
    assert [(one["id"], one["weight"], one["graphs_missing"]) for one in found] == [
        ("node_1", 1, 0),
        ("node_2", 2.5, 5),
    ]


def test_list_of_no_nodes_says_where_they_come_from(server: OddServer) -> None:
    server.answers["/nodes"] = saying_json({"epoch": 0, "nodes": []})

    assert run("list", "-u", server.url) == (
        0,
        "there are no nodes; CATALOGUE_LIST names them, or the offerings' owners do\n",
    )


@pytest.mark.parametrize("answer", [saying(b"no"), saying_json({"nodes": 1}), saying(b"gone", 500)])
def test_list_of_another_server_is_an_error(server: OddServer, answer: Any) -> None:
    server.answers["/nodes"] = answer

    status, output = run("list", "-u", server.url)

    assert status == 1
    assert output.startswith("Error: ")


def test_list_without_a_gateway_says_how_to_get_one() -> None:
    status, output = run("list", "-u", f"http://127.0.0.1:{closed_port()}")

    assert (status, "'catena up' starts one" in output) == (1, True)


def test_list_shows_no_control_characters(server: OddServer) -> None:
    node = {"id": "a\x1b[2J", "url": "http://a", "state": "up", "graphs_placed": 0, "graphs_read": 0}
    server.answers["/nodes"] = saying_json({"epoch": 0, "nodes": [node]})

    assert "\x1b[2J" not in run("list", "-u", server.url)[1]


@pytest.mark.parametrize("problem", ["", "it is the same store as node_2"])
def test_drain_of_a_node_that_is_down_says_what_to_do(problem: str) -> None:
    down = Node("node_1", "http://a", "down", draining=True, problem=problem)
    ring = Ring(1, (down, Node("node_2", "http://b"), Node("node_3", "http://c")), 20, 2)
    placement = Placement("node_1", "urn:g", "0x1", 1, 1, 0, digest="d")
    with EmbeddedBroker(topics.SPECS) as broker:
        producer = Producer({"bootstrap.servers": broker.endpoint})
        producer.produce(topics.RING, records.to_text(ring), RING_KEY)
        producer.produce(topics.PLACEMENTS, records.to_text(placement), placement_key("node_1", "urn:g"), 0)
        producer.flush()

        status, output = run("drain", "node_1", "-k", broker.endpoint)

    assert status == 1
    assert "1 graphs left" in output
    assert f"node_1 is down{f': {problem}' if problem else ''}; nothing can be deleted there" in " ".join(
        output.split()
    )


def test_drain_of_the_last_node_ends_and_says_that_no_other_one_takes_its_graphs() -> None:
    nodes = tuple(Node(name, f"http://{name}", draining=True) for name in ("node_1", "node_2"))
    placement = Placement("node_1", "urn:g", "0x1", 1, 1, 0, digest="d")
    with EmbeddedBroker(topics.SPECS) as broker:
        producer = Producer({"bootstrap.servers": broker.endpoint})
        producer.produce(topics.RING, records.to_text(Ring(1, nodes, 20, 2)), RING_KEY)
        producer.produce(topics.PLACEMENTS, records.to_text(placement), placement_key("node_1", "urn:g"), 0)
        producer.flush()

        status, output = run("drain", "node_1", "-k", broker.endpoint, "--force")

    assert status == 1
    assert "no other node takes graphs now, so node_1 keeps its own" in " ".join(output.split())


@pytest.mark.parametrize("command", ["drain", "undrain"])
def test_command_without_kafka_says_how_to_name_it(command: str) -> None:
    status, output = run(command, "node_1")

    assert (status, "-k HOST:PORT" in output) == (2, True)


@pytest.mark.parametrize("command", [[], ["list"], ["drain"], ["undrain"]])
def test_help_shows_an_example(command: list[str]) -> None:
    status, output = run(*command, "--help")

    assert (status, "catena nodes" in output.split("Options")[0].replace("Usage: catena", "", 1)) == (0, True)
