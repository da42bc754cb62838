"""The ring on a broker: one monitor publishes it, whatever happens to the others; and nodes are drained through it."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import click
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from catena_core.kafka.client import client_properties
from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table
from catena_core.topics import ensure
from tests.broker.conftest import Broker
from tests.helpers.documents import ROOT
from tests.helpers.odd_server import odd_server, saying, saying_json
from tests.helpers.waiting import eventually
from topology import records, topics
from topology.cli.main import main
from topology.records import RING_KEY, Drain, Node, Placement, Ring, placement_key
from topology.ring_publisher import FencedError, NotPublishedError, RingPublisher

NODES = (Node("node_1", "http://a.invalid"), Node("node_2", "http://b.invalid"), Node("node_3", "http://c.invalid"))


def publisher(broker, topic, name):
    return RingPublisher(broker.endpoint, name, topic, LinkLogger("test"), broker.properties)


def epochs(broker, topic, count):
    return [records.from_text(message.value(), Ring).epoch for message in broker.read(topic, count, settle=0.5)]


@pytest.mark.kafka
def test_publisher_that_was_relieved_cannot_publish(kafka):
    """The embedded broker does not fence producers."""
    broker = Broker(kafka.bootstrap)
    topic, name = broker.topic("ring", 1), broker.group("ring")
    first, second = publisher(broker, topic, name), publisher(broker, topic, name)
    first.take_over()
    first.publish(Ring(1, NODES, 10, 2))
    second.take_over()

    with pytest.raises(FencedError):
        first.publish(Ring(2, NODES[:1], 10, 2))
    second.publish(Ring(2, NODES, 10, 2))
    with pytest.raises(NotPublishedError):
        first.publish(Ring(3, NODES[:1], 10, 2))

    rings = [records.from_text(message.value(), Ring) for message in broker.read(topic, 2)]
    assert [(ring.epoch, len(ring.nodes)) for ring in rings] == [(1, 3), (2, 3)]


def test_publisher_that_takes_over_again_publishes_again(broker):
    topic, name = broker.topic("ring", 1), broker.group("ring")
    first, second = publisher(broker, topic, name), publisher(broker, topic, name)
    for number, one in enumerate([first, second, first], 1):
        one.take_over()
        one.publish(Ring(number, NODES, 10, 2))

    assert epochs(broker, topic, 3) == [1, 2, 3]


def test_publisher_that_finds_no_broker_says_so(monkeypatch):
    monkeypatch.setattr("topology.ring_publisher._TIMEOUT", 0.2)
    with pytest.raises(NotPublishedError, match="gives no transactions"):
        RingPublisher("127.0.0.1:1", "name", "ring", LinkLogger("test")).take_over()


@contextlib.contextmanager
def monitor_process(endpoint, directory):
    """Run a monitor in a process of its own; yield it, and the lines of its log as they come."""
    environment = {
        **os.environ,
        "KAFKA_ENDPOINT": endpoint,
        "OPERATOR_PROVIDED": "1",
        "CATALOGUE_LIST": str(directory / "nodes.json"),
        "NODE_HEALTH_CHECK_INTERVAL": "0.2",
        "NODE_TIMEOUT": "20",
        "NODE_GRACE_PERIOD": "600",
    }
    quick = ["-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=500"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "links/monitor.py"), *quick],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    reading = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reading.start()
    try:
        yield process, lines
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(120)


@pytest.mark.kafka
def test_monitor_that_was_paused_and_wakes_up_does_not_disturb_the_one_that_took_over(kafka, tmp_path):
    with odd_server() as server:
        server.answers["/catalogue/health"] = saying_json({})
        server.answers["/catalogue/graphs"] = saying_json([])
        server.answers["/catalogue/sparql"] = saying_json({"boolean": True})
        listed = {"node_1": {"catalogue_url": f"{server.url}/catalogue"}}
        (tmp_path / "nodes.json").write_text(json.dumps(listed))
        ensure(kafka.bootstrap, topics.SPECS)
        rings = []
        table = Table(
            kafka.bootstrap,
            topics.RING,
            LinkLogger("test"),
            decode=lambda _, value: records.from_text(value, Ring),
            on_change=lambda _key, _old, new: rings.append(new),
        )

        def states():
            return [node.state for node in rings[-1].nodes] if rings else []

        def watches(lines):
            return any("watching the nodes" in line for line in list(lines))

        try:
            with monitor_process(kafka.bootstrap, tmp_path) as (first, first_lines):
                eventually(lambda: watches(first_lines) and states() == ["up"])
                with monitor_process(kafka.bootstrap, tmp_path) as (_, second_lines):
                    eventually(lambda: any("running as" in line for line in list(second_lines)))
                    leader, standby_lines = (first, second_lines)
                    # Joining may have moved the partition to the second one.
                    if watches(second_lines):
                        pytest.fail("the standby took over from a monitor that was well")
                    os.kill(leader.pid, signal.SIGSTOP)
                    server.answers["/catalogue/health"] = saying(b"", 503)
                    eventually(lambda: watches(standby_lines) and states() == ["suspect"])
                    os.kill(leader.pid, signal.SIGCONT)
                    server.answers["/catalogue/health"] = saying_json({})
                    eventually(lambda: states() == ["up"])
                    server.answers["/catalogue/health"] = saying(b"", 503)
                    eventually(lambda: states() == ["suspect"])
        finally:
            table.close()
        numbers = [ring.epoch for ring in rings]
        assert all(later == earlier + 1 for earlier, later in itertools.pairwise(numbers)), numbers


@pytest.fixture
def catalogue(embedded_broker):
    """Give a broker with a ring of three nodes, and a stand-in of the monitor that marks drained nodes."""
    ensure(embedded_broker.endpoint, topics.SPECS)
    logger = LinkLogger("test")
    publishing = publisher(embedded_broker, topics.RING, "monitor")
    publishing.take_over()
    table = Table(embedded_broker.endpoint, topics.RING, logger, decode=lambda _, value: records.from_text(value, Ring))
    table.wait_until_complete()
    epoch = itertools.count(table[RING_KEY].epoch + 1 if RING_KEY in table else 1)
    marked = set()

    def publish(key, _old, new):
        marked.discard(key) if new is None else marked.add(key)
        nodes = tuple(Node(node.id, node.url, draining=node.id in marked) for node in NODES)
        publishing.publish(Ring(next(epoch), nodes, 10, 2))

    publish("", None, None)
    drains = Table(embedded_broker.endpoint, topics.DRAINS, logger, on_change=publish)
    drains.wait_until_complete()
    producer = Producer(client_properties(embedded_broker.endpoint, logger, embedded_broker.properties))

    def place(node, graph, digest):
        value = None if digest is None else records.to_text(Placement(node, graph, "0xa", 1, 1, 0, digest))
        producer.produce(topics.PLACEMENTS, value, placement_key(node, graph), partition=0)
        assert producer.flush(120) == 0

    yield embedded_broker.endpoint, place, drains
    for name in list(marked):
        producer.produce(topics.DRAINS, None, name)
    producer.flush(120)
    drains.close()
    table.close()


def catena(*arguments):
    result = CliRunner().invoke(main, ["nodes", *arguments])
    return result.exit_code, result.output


def test_drain_shows_how_many_graphs_are_left_and_ends_when_there_are_none(catalogue, monkeypatch):
    endpoint, place, drains = catalogue
    for number in range(3):
        place("node_2", f"urn:{number}", "d")
    place("node_1", "urn:0", "d")
    outcome, shown = [], []
    echo = click.echo
    monkeypatch.setattr(click, "echo", lambda text="", **more: (shown.append(text), echo(text, **more)))
    running = threading.Thread(target=lambda: outcome.append(catena("drain", "node_2", "-k", endpoint)))
    running.start()
    eventually(lambda: "node_2" in drains)
    assert records.from_text(drains["node_2"], Drain).node == "node_2"
    eventually(lambda: "3 graphs left" in shown)
    for number in range(3):
        place("node_2", f"urn:{number}", None)
    running.join(120)

    (status, output) = outcome[0]
    assert status == 0, output
    assert output.splitlines()[0] == "node_2 is draining"
    assert "3 graphs left" in output
    assert "node_2 is empty: take it out of CATALOGUE_LIST" in output

    assert catena("undrain", "node_2", "-k", endpoint) == (0, "node_2 takes graphs again\n")
    assert catena("undrain", "node_2", "-k", endpoint) == (0, "node_2 is not draining\n")


def test_drain_of_an_unknown_node_names_the_one_that_was_meant(catalogue):
    endpoint, _, drains = catalogue

    status, output = catena("drain", "nod_2", "-k", endpoint)

    assert (status, "there is no node nod_2; did you mean node_2?" in output) == (1, True)
    assert "there are node_1, node_2, node_3" in catena("drain", "xyz", "-k", endpoint)[1]
    assert not drains


def test_drain_that_would_cost_a_copy_is_refused_unless_forced(catalogue):
    endpoint, *_ = catalogue
    assert catena("drain", "node_1", "-k", endpoint, "--no-wait")[0] == 0

    status, output = catena("drain", "node_2", "-k", endpoint, "--no-wait")

    assert status == 1
    assert "only 1 nodes take graphs, and each graph has 2 copies" in output
    assert catena("drain", "node_2", "-k", endpoint, "--no-wait", "--force")[0] == 0
