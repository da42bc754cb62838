"""A node leaves without the loss of a copy, and one that has lost graphs unseen gets them again: with everything running."""

import threading
from collections import Counter

import pytest
import requests
from click.testing import CliRunner

from tests.helpers.catena_up import Up, catalogue_list, graphs_of, server
from tests.helpers.placement import assert_placed, documents_of
from tests.helpers.waiting import eventually
from topology.cli.main import main


@pytest.fixture
def running(tmp_path):
    """Run `catena up` over 40 offerings and four nodes, and yield it with the nodes and the descriptions."""
    with (
        server("sandbox.booth", "booth ", "--count", "40") as (booth, _),
        server("sandbox.node", "node ") as (one, _),
        server("sandbox.node", "node ") as (two, _),
        server("sandbox.node", "node ") as (three, _),
        server("sandbox.node", "node ") as (four, _),
    ):
        nodes = [one, two, three, four]
        listed = catalogue_list(tmp_path / "nodes.json", nodes)
        up = Up(
            DLT_BASE_URL=booth,
            OPERATOR_PROVIDED="1",
            CATALOGUE_LIST=listed,
            REDIS_HOST="",
            NODE_INSPECTION_INTERVAL="3",
        )
        try:
            up.found("all 40 offerings stand on 2 nodes each")
            yield up, nodes, documents_of(booth).values()
        finally:
            up.stop()


def health(up):
    return requests.get(f"{up.gateway}/health", timeout=120).json()


def catena(*arguments):
    result = CliRunner().invoke(main, ["nodes", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_drained_node_is_emptied_without_the_loss_of_a_copy(running):
    up, nodes, documents = running
    broker = up.found(r"broker: (\S+?)[;\s]")
    fewest, stop = [], threading.Event()

    def count():
        while not stop.is_set():
            # In this order, since a copy is made before another one is deleted.
            copies = Counter(graph for node in reversed(nodes) for graph in graphs_of(node))
            fewest.append(min(copies.values()) if len(copies) == 40 else 0)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        output = catena("drain", "node_4", "-k", broker)
    finally:
        stop.set()
        counting.join()

    assert "node_4 is empty" in output
    assert graphs_of(nodes[3]) == set()
    assert_placed(nodes[:3], documents)
    eventually(lambda: '"state": "draining"' in catena("list", "-u", up.gateway, "--json"))
    eventually(lambda: health(up)["status"] == "healthy")
    catena("undrain", "node_4", "-k", broker)
    eventually(lambda: graphs_of(nodes[3]))
    eventually(lambda: sum(len(graphs_of(node)) for node in nodes) == 80)
    assert_placed(nodes, documents)
    assert fewest
    assert min(fewest) >= 1


def test_graphs_that_nodes_forgot_or_that_were_edited_are_there_again(running):
    up, nodes, documents = running
    lost = sorted(graphs_of(nodes[0]))[::2]
    edited = sorted(graphs_of(nodes[1]))[0]
    for graph in lost:
        requests.delete(f"{nodes[0]}/data", params={"graph": graph}, timeout=120).raise_for_status()
    requests.post(
        f"{nodes[1]}/update",
        data={"update": f"INSERT DATA {{ GRAPH <{edited}> {{ <urn:by> <urn:hand> 1 }} }}"},
        timeout=120,
    ).raise_for_status()

    def is_right():
        try:
            assert_placed(nodes, documents)
        except AssertionError:
            return False
        return True

    eventually(is_right)
    eventually(lambda: health(up)["status"] == "healthy")
