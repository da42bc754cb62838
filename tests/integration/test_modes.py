"""Where nodes come from: the operator's list, the owners of offerings, the Global Catalogue; and what is refused."""

import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import requests

from tests.helpers.catena_up import ROOT, Up, catalogue_list, graphs_of, server
from tests.helpers.placement import assert_placed, documents_of
from tests.helpers.waiting import eventually


@pytest.fixture
def two_nodes():
    with server("sandbox.node", "node ") as (one, _), server("sandbox.node", "node ") as (two, _):
        yield one, two


def test_nodes_are_inferred_from_owners_and_new_ones_join_while_running(two_nodes):
    own, others = two_nodes
    with (
        server("sandbox.booth", "booth ", "--count", "20") as (booth, _),
        server("sandbox.booth", "booth ", "--count", "3", "--seed", "9", "--catalogue-url", others) as (
            other,
            _,
        ),
    ):
        up = Up(DLT_BASE_URL=booth, NODE_URL_TEMPLATE=own, REDIS_HOST="")
        try:
            # Every owner's template gives the same address, so they are one node, and one copy is all there can be.
            up.found("all 20 offerings stand on 1 node each")
            assert_placed([own], documents_of(booth).values(), copies=1)
            address = requests.get(f"{other}/offerings", timeout=120).json()["addresses"][0]
            entry = requests.get(f"{other}/offerings/{address}", timeout=120).json()
            registration = {name: entry[name] for name in ("descriptionUri", "owner", "name")}
            registration["descriptionHash"] = entry["description_hash"]
            requests.post(f"{booth}/offerings", json=registration, timeout=120).raise_for_status()
            # Its owner's profile names another node, which joins; then there are two copies of everything.
            eventually(lambda: len(graphs_of(own)) == len(graphs_of(others)) == 21, message=up.output)
            assert_placed([own, others], documents_of(booth).values())
            assert len(requests.get(f"{up.gateway}/health", timeout=120).json()["nodes"]) == 2
        finally:
            up.stop()


def test_centralised_sends_everything_to_the_global_catalogue(two_nodes):
    node, _ = two_nodes
    with server("sandbox.booth", "booth ", "--count", "20") as (booth, _):
        up = Up(
            DLT_BASE_URL=booth,
            CENTRALISED="1",
            GC_URL="http://127.0.0.1",
            GC_PORT=str(urlsplit(node).port),
            REDIS_HOST="",
        )
        try:
            up.found("all 20 offerings stand on 1 node each")
            assert_placed([node], documents_of(booth).values(), copies=1)
        finally:
            up.stop()


def test_the_list_of_nodes_is_read_again_when_it_changes(two_nodes, tmp_path):
    one, two = two_nodes
    with server("sandbox.booth", "booth ", "--count", "20") as (booth, _):
        listed = catalogue_list(tmp_path / "nodes.json", [one])
        up = Up(DLT_BASE_URL=booth, OPERATOR_PROVIDED="1", CATALOGUE_LIST=listed, REDIS_HOST="")
        try:
            up.found("all 20 offerings stand on 1 node each")
            catalogue_list(tmp_path / "nodes.json", [one, two])
            eventually(lambda: len(graphs_of(one)) == len(graphs_of(two)) == 20, message=up.output)
            (tmp_path / "nodes.json").write_text("{broken")
            up.found("the nodes stay as they are")
            assert len(requests.get(f"{up.gateway}/health", timeout=120).json()["nodes"]) == 2
        finally:
            up.stop()


def refusal(tmp_path, **variables):
    """Return what `catena up` says when it refuses to start."""
    result = subprocess.run(
        [sys.executable, "-m", "topology.cli", "up"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOST_ADDRESS": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_contradictions_are_refused_at_start(tmp_path):
    booth = {"DLT_BASE_URL": "http://127.0.0.1:1/api"}
    assert "contradict" in refusal(tmp_path, CENTRALISED="1", OPERATOR_PROVIDED="1", **booth)
    nodes = tmp_path / "nodes.json"
    nodes.write_text(json.dumps({"a": {"catalogue_url": "http://127.0.0.1:1/catalogue"}}))
    assert "set OPERATOR_PROVIDED=1 with it" in refusal(
        tmp_path, CATALOGUE_LIST=str(nodes), OPERATOR_PROVIDED="0", **booth
    )
    assert "there is none" in refusal(tmp_path, OPERATOR_PROVIDED="1", CATALOGUE_LIST="/nowhere.json", **booth)


def test_a_bad_value_is_named_with_what_would_be_right(tmp_path):
    said = refusal(tmp_path, OFFERING_FETCH_INTERVAL="soon", NODE_TIMEOUT="-1")
    assert 'OFFERING_FETCH_INTERVAL="soon" should be a number of seconds above 0 (default: 60)' in said
    assert "NODE_TIMEOUT" in said


def test_a_broker_that_is_not_there_is_named(tmp_path):
    said = refusal(tmp_path, KAFKA_ENDPOINT="127.0.0.1:1", OPERATOR_PROVIDED="0", DLT_BASE_URL="http://127.0.0.1:1/api")
    assert "no Kafka broker answers at 127.0.0.1:1" in said
