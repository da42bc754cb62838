"""The gateway as a process of its own over the nodes of a list: no Kafka, no Redis, no topics."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import requests

from tests.helpers.catena_up import ROOT, catalogue_list, server
from tests.helpers.waiting import eventually
from tests.servers.process import free_port

QUADS = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"


class Gateway:
    """A gateway as an operator starts it."""

    def __init__(self, directory, *arguments, **variables):
        names = ("KAFKA_ENDPOINT", "REDIS_HOST", "CATALOGUE_LIST", "OPERATOR_PROVIDED")
        environment = {name: value for name, value in os.environ.items() if name not in names}
        self.port = free_port()
        environment.update(
            HOST_ADDRESS="127.0.0.1", HOST_PORT=str(self.port), NODE_HEALTH_CHECK_INTERVAL="0.5", **variables
        )
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "links" / "gateway.py"), *arguments],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def output(self):
        return "\n".join(self.lines)

    def says(self, text):
        eventually(lambda: text in self.output(), message=lambda: f"it does not say {text!r}:\n{self.output()}")

    def count(self):
        answer = requests.post(
            f"http://127.0.0.1:{self.port}/sparql",
            data={"query": QUADS},
            headers={"Accept": "application/json", "Cache-Control": "no-cache"},
            timeout=120,
        )
        answer.raise_for_status()
        (row,) = answer.json()["results"]["bindings"]
        return int(row["n"]["value"]), answer.headers["Catena-Completeness"]

    def ends(self):
        status = self.process.wait(120)
        self.reader.join(60)
        return status

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.ends()


@pytest.fixture
def gateway(tmp_path):
    """Start gateways, and stop them."""
    started = []

    def start(*arguments, **variables):
        started.append(Gateway(tmp_path, *arguments, **variables))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.ends()


@pytest.fixture
def two_nodes():
    """Two nodes, with four graphs on both of them and one on the second alone."""
    with server("sandbox.node", "node ") as one, server("sandbox.node", "node ") as other:
        for number in range(4):
            for url, _ in (one, other):
                put(url, f"urn:g{number}")
        put(other[0], "urn:own")
        yield one, other


def put(url, graph):
    answer = requests.put(
        f"{url}/data",
        params={"graph": graph},
        data="<urn:s> <urn:p> [ <urn:p> 1 ] .",
        headers={"Content-Type": "text/turtle"},
        timeout=120,
    )
    answer.raise_for_status()


def test_it_serves_the_nodes_of_a_list_and_needs_nothing_else(gateway, two_nodes, tmp_path):
    (one, _), (other, process) = two_nodes
    running = gateway(OPERATOR_PROVIDED="1", CATALOGUE_LIST=catalogue_list(tmp_path / "nodes.json", [one, other]))

    running.says("2 of 2 nodes answer, with 5 graphs")
    assert running.count() == (10, "complete")

    process.kill()
    process.wait()
    assert running.count() == (8, "partial; missing=node_2")

    assert running.stop() == 0
    assert "stopped cleanly" in running.output()
    assert "Traceback" not in running.output()


def test_it_tells_of_nodes_that_do_not_answer_at_its_start(gateway, two_nodes, tmp_path):
    (one, _), (other, process) = two_nodes
    process.kill()
    process.wait()
    running = gateway(OPERATOR_PROVIDED="1", CATALOGUE_LIST=catalogue_list(tmp_path / "nodes.json", [one, other]))

    running.says("1 of 2 nodes answer, with 4 graphs; missing: node_2")
    assert running.count() == (8, "partial; missing=node_2")


def test_without_a_list_it_says_what_to_do(gateway):
    running = gateway()

    assert running.ends() == 1
    assert "OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json" in running.output()
    assert "Traceback" not in running.output()


def test_a_list_that_names_no_node_is_refused(gateway, tmp_path):
    (tmp_path / "nodes.json").write_text("{}")
    running = gateway(OPERATOR_PROVIDED="1", CATALOGUE_LIST="nodes.json")

    assert running.ends() == 1
    assert "nodes.json names no node; examples/catalogue_list.json shows how" in running.output()
    assert "Traceback" not in running.output()


def test_its_help_tells_of_it(gateway):
    running = gateway("--help")

    assert running.ends() == 0
    assert "OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json" in running.output()
