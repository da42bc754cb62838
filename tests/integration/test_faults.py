"""Nodes that die, hang, or come back empty; a Redis that goes and returns."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from tests.helpers.catena_up import ROOT, Up, catalogue_list, graphs_of, server
from tests.helpers.placement import assert_placed, documents_of
from tests.helpers.waiting import eventually

COUNT = "SELECT (COUNT(DISTINCT ?o) AS ?n) WHERE { ?o a <https://w3id.org/sedimark/ontology#Offering> }"


class Node:
    """A sandbox node that can be killed and started again, empty, at the same address."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.node", "--port", self._port],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().removeprefix("node ").strip()

    def send(self, number):
        os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()


@pytest.fixture
def running(tmp_path):
    nodes = [Node() for _ in range(3)]
    with server("sandbox.booth", "booth ", "--count", "40") as (booth, _):
        listed = catalogue_list(tmp_path / "nodes.json", [node.url for node in nodes])
        up = Up(DLT_BASE_URL=booth, OPERATOR_PROVIDED="1", CATALOGUE_LIST=listed, REDIS_HOST="")
        try:
            up.found("all 40 offerings stand on 2 nodes each")
            yield up, booth, nodes
        finally:
            up.stop()
            for node in nodes:
                node.process.kill()
                node.process.wait()


def counts(up, number):
    """Tell whether the gateway counts so many offerings, and is sure; other numbers it may only give as partial ones."""
    answer = up.ask(COUNT)
    assert answer.status_code == 200, answer.text
    if answer.headers["Catena-Completeness"] != "complete":
        return False
    return int(answer.json()["results"]["bindings"][0]["n"]["value"]) == number


def is_healthy(up):
    return requests.get(f"{up.gateway}/health", timeout=120).json()["status"] == "healthy"


def states(up):
    return requests.get(f"{up.gateway}/health", timeout=120).json()["nodes"]


def test_a_node_that_dies_is_replaced_and_one_that_comes_back_empty_is_filled(running):
    up, booth, nodes = running
    documents = documents_of(booth)
    eventually(lambda: is_healthy(up) and counts(up, 40), message=up.output)  # the gateway knows both copies of each
    nodes[1].send(signal.SIGKILL)
    eventually(lambda: counts(up, 40), message=up.output)
    eventually(lambda: states(up)["node_2"] == "down", message=up.output)
    eventually(lambda: counts(up, 40), message=up.output)
    survivors = [nodes[0].url, nodes[2].url]
    eventually(lambda: all(len(graphs_of(url)) == 40 for url in survivors), message=up.output)
    assert_placed(survivors, documents.values())
    nodes[1].start()
    eventually(lambda: states(up)["node_2"] == "up", message=up.output)
    eventually(
        lambda: sum(len(graphs_of(node.url)) for node in nodes) == 80 and graphs_of(nodes[1].url), message=up.output
    )
    assert_placed([node.url for node in nodes], documents.values())
    eventually(lambda: counts(up, 40), message=up.output)


def test_a_node_wiped_within_its_grace_period_is_filled_again(running):
    up, booth, nodes = running
    before = graphs_of(nodes[0].url)
    nodes[0].send(signal.SIGKILL)
    eventually(lambda: states(up)["node_1"] != "up", message=up.output)
    nodes[0].start()
    eventually(lambda: states(up)["node_1"] == "up", message=up.output)
    eventually(lambda: graphs_of(nodes[0].url) == before, message=up.output)
    eventually(lambda: sum(len(graphs_of(node.url)) for node in nodes) == 80, message=up.output)
    assert_placed([node.url for node in nodes], documents_of(booth).values())


def test_a_hung_node_delays_no_other(running):
    up, booth, nodes = running
    nodes[2].send(signal.SIGSTOP)
    try:
        listing = f"{booth}/offerings"
        document = next(iter(documents_of(booth).values()))
        new = re.sub(rb"(https?://[^\"]*?offering[^\"]*?)\"", rb'\1-new"', document)
        headers = {"Content-Type": "application/ld+json"}
        requests.post(listing, data=new, headers=headers, timeout=120).raise_for_status()
        eventually(lambda: counts(up, 41), message=up.output)
        eventually(lambda: states(up)["node_3"] == "down", message=up.output)
        eventually(lambda: len(graphs_of(nodes[0].url)) == len(graphs_of(nodes[1].url)) == 41, message=up.output)
    finally:
        nodes[2].send(signal.SIGCONT)
    eventually(lambda: states(up)["node_3"] == "up", message=up.output)
    eventually(lambda: sum(len(graphs_of(node.url)) for node in nodes) == 82, message=up.output)
    assert_placed([node.url for node in nodes], documents_of(booth).values())


@pytest.mark.redis
def test_redis_may_go_and_come_back(redis_server, caplog):
    from catena_core.monitoring.logs import LinkLogger
    from topology.clients import redis_cache as module
    from topology.clients.redis_cache import Cache

    module_wait = module._RETRY_AFTER
    module._RETRY_AFTER = 0.2
    try:
        with caplog.at_level("INFO"):
            shared = Cache(redis_server.host, redis_server.port, 0, LinkLogger("test"))
            other = Cache(redis_server.host, redis_server.port, 0, LinkLogger("test"))
            shared.put("key", "text", 60)
            assert other.get("key") == "text"
            redis_server.kill()
            assert shared.get("key") is None
            shared.put("own", "kept", 60)
            assert shared.get("own") == "kept"
            redis_server.restart()
            eventually(lambda: "Redis is back" in caplog.text or shared.get("x"))
            shared.put("again", "text", 60)
            assert other.get("again") == "text" or eventually(lambda: other.get("again"))
    finally:
        module._RETRY_AFTER = module_wait
