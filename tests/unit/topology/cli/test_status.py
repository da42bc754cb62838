"""`catena status`: offerings and nodes from a gateway, lag and dead letters from Kafka, and a word on what does not answer."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer, TopicPartition

from catena_core.embedded import EmbeddedBroker
from tests.helpers.odd_server import Handler, OddServer, closed_port, saying_json
from topology import topics
from topology.cli.main import main

NODES = {
    "epoch": 3,
    "nodes": [{"id": "node_1\x1b[2J", "url": "http://a", "state": "up", "graphs_placed": 12, "graphs_read": 6}],
}
HEALTH = {
    "status": "degraded",
    "epoch": 3,
    "failing": {"writer": "died 4 times in a row"},
    "uninspected": {"node_1": "status 403"},
    "unusable": {"node_2": "it is the same store as node_1"},
    "refusing": {"node_3": "it does not take 2 graphs: status 413"},
}
COUNTS = {"placed": 40, "failing": 2}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments], env={"KAFKA_ENDPOINT": "", "COLUMNS": "200"})


def page(handler: Handler) -> None:
    (state,) = parse_qs(urlsplit(handler.path).query)["state"]
    handler.say_json({"total": COUNTS.get(state, 0), "limit": 1, "offset": 0, "offerings": []})


def gateway(server: OddServer) -> str:
    server.answers.update({"/offerings": page, "/nodes": saying_json(NODES), "/health": saying_json(HEALTH)})
    return server.url


def test_status_shows_offerings_by_state_and_nodes(server: OddServer) -> None:
    result = run("-u", gateway(server))

    assert result.exit_code == 0
    assert "42 offerings: 2 failing, 40 placed" in result.output
    assert "node_1" in result.output
    assert "writer died 4 times in a row" in result.output
    assert "node_1 cannot be inspected: status 403" in result.output
    assert "node_2 cannot be used: it is the same store as node_1" in result.output
    assert "node_3 refuses copies: it does not take 2 graphs: status 413" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("interval", ["nan", "inf", "0"])
def test_interval_that_is_no_time_is_refused(interval: str) -> None:
    assert run("--interval", interval).exit_code == 2


def test_status_in_json_has_everything(server: OddServer) -> None:
    found = json.loads(run("-u", gateway(server), "--json").output)

    assert {state: number for state, number in found["offerings"].items() if number} == COUNTS
    assert [node["graphs_placed"] for node in found["nodes"]] == [12]
    assert (found["links"], found["problems"]) == ([], [])


def test_status_shows_lag_and_dead_letters(server: OddServer) -> None:
    writes = topics.writes_topic("node_1")
    with EmbeddedBroker([*topics.SPECS, writes]) as broker:
        client = {"bootstrap.servers": broker.endpoint}
        producer = Producer(client)
        for _ in range(5):
            producer.produce(writes.name, "x", partition=0)
        producer.produce(topics.DEAD_LETTERS, "x")
        producer.flush()
        consumer = Consumer({**client, "group.id": "Writer"})
        consumer.commit(offsets=[TopicPartition(writes.name, 0, 2)], asynchronous=False)
        consumer.close()

        found = json.loads(run("-u", gateway(server), "-k", broker.endpoint, "--json").output)

    assert found["links"] == [{"group": "Writer", "instances": None, "state": "", "lag": 3}]
    assert found["dead_letters"] == {topics.DEAD_LETTERS: 1}


def test_status_without_a_gateway_says_so_and_fails() -> None:
    result = run("-u", f"http://127.0.0.1:{closed_port()}", "--json")

    assert result.exit_code == 1
    assert json.loads(result.output)["problems"][0].startswith("the gateway: ")


def test_status_of_another_server_says_so(server: OddServer) -> None:
    server.answers["/offerings"] = saying_json({"offerings": "no"})

    result = run("-u", server.url)
    assert (result.exit_code, "is no gateway of this version" in result.output) == (1, True)
