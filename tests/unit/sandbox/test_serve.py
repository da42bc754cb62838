"""How the sandbox's servers start, and stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.helpers.waiting import eventually_works
from tests.unit.sandbox.conftest import CHECKOUT, Server, started

pytestmark = pytest.mark.slow

NODE_LINE = r"node http://127\.0\.0\.1:\d+/catalogue\n"
TURTLE = {"Content-Type": "text/turtle"}


def stopped(server: Server, number: signal.Signals) -> int:
    server.process.send_signal(number)
    return server.process.wait(120)


@pytest.mark.parametrize("module", ["booth", "node"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_and_cleanly(module: str, number: signal.Signals) -> None:
    with started(module) as server:
        server.get("/health")
        assert stopped(server, number) == 0
        with pytest.raises(requests.ConnectionError):
            server.get("/health")


def test_neither_a_hung_request_nor_an_endless_query_keeps_it() -> None:
    with started("node") as server:
        data = "".join(f"<x:{n}> <x:p> {n} .\n" for n in range(500))
        server.put("data?default", data=data, headers=TURTLE)
        server.put("/faults", json={"hang": True, "paths": ["/catalogue/health"]})
        query = "SELECT (COUNT(*) AS ?n) { ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . ?g ?s ?h FILTER(STR(?b) != STR(?h)) }"

        def ask(path: str) -> None:
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{server.url}/{path}", params={"query": query}, timeout=240)

        waiting = [Thread(target=ask, args=(path,)) for path in ("health", "sparql")]
        for thread in waiting:
            thread.start()
        eventually_works(server.process.pid)
        assert stopped(server, signal.SIGTERM) == 0
        for thread in waiting:
            thread.join()


def test_a_node_prints_where_it_is_and_is_healthy() -> None:
    with started("node") as node:
        assert re.fullmatch(NODE_LINE, node.announcement)
        assert node.get("health").json() == {"status": "healthy"}


def test_a_node_with_a_directory_keeps_its_data(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with started("node", "--store", str(store)) as node:
        assert node.put("data?graph=a:g", data=b"<a:s> <a:p> <a:o> .", headers=TURTLE).status_code == 201
        assert stopped(node, signal.SIGTERM) == 0
    with started("node", "--store", str(store)) as node:
        assert [graph["uri"] for graph in node.get("graphs").json()["offerings"]] == ["a:g"]
        assert refusal("node", "--store", str(store)).startswith("Error: Cannot open the store in ")


def refusal(module: str, *arguments: str) -> str:
    """Return the last line that a server which cannot start writes to standard error."""
    command = [sys.executable, "-m", f"sandbox.{module}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=CHECKOUT, env={**os.environ})
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("module", ["booth", "node"])
def test_a_taken_port_is_named_with_what_to_do(module: str) -> None:
    with started("node") as node:
        port = node.origin.split(":")[-1].split("/")[0]
        said = refusal(module, "--port", port)
    assert said == f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another --port, or 0."


def test_a_file_without_offerings_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonld"
    file.write_text("{}")
    assert "describes no https://w3id.org/sedimark/ontology#Offering" in refusal("booth", "--offerings", str(file))
    file.write_text("{")
    assert "Invalid value for --offerings" in refusal("booth", "--offerings", str(file))


@pytest.mark.parametrize("module", ["booth", "node"])
def test_help_tells_the_endpoints_and_options(module: str) -> None:
    command = [sys.executable, "-m", f"sandbox.{module}", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True, cwd=CHECKOUT).stdout
    assert "PUT        /faults" in told or "PUT    /faults" in told
    assert "--port" in told


def test_rdflib_is_not_loaded() -> None:
    code = "import sys, sandbox.booth, sandbox.node; sys.exit('rdflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, timeout=240, check=False).returncode == 0
