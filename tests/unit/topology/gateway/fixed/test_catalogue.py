"""The gateway over a fixed set of nodes, without Kafka: what the nodes hold, each graph once, and what is missing is told."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import requests

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.helpers.catena_up import server
from tests.helpers.odd_server import closed_port
from tests.helpers.waiting import eventually
from tests.servers import fuseki_server
from topology.gateway.api.app import create_app
from topology.gateway.fixed.catalogue import FixedCatalogue
from topology.membership import CatalogueList

pytestmark = pytest.mark.slow

TRIPLES = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
QUADS = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"
ALL = "SELECT ?g ?s ?o { GRAPH ?g { ?s <urn:p> ?o } } ORDER BY ?g ?s ?o"
# Blank nodes of two copies would be told apart, and counted twice.
GRAPH = "<urn:s{0}> <urn:p> {0} , [ <urn:p> [] ] ."
TRIPLES_OF_GRAPH = 3


class Process(NamedTuple):
    """A catalogue node of the sandbox as a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def put(self, graph: str, turtle: str) -> None:
        put(self.url, graph, turtle)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def put(url: str, graph: str, turtle: str) -> None:
    address = f"{url}/data?graph={quote(graph, safe='')}"
    answer = requests.put(address, data=turtle.encode(), headers={"Content-Type": "text/turtle"}, timeout=30)
    assert answer.status_code in (200, 201, 204), answer.content


def clear(url: str) -> None:
    answer = requests.put(f"{url}/data", data=b"", headers={"Content-Type": "application/n-quads"}, timeout=30)
    assert answer.status_code == 204, answer.content


def start_node(stack: ExitStack, *arguments: str) -> Process:
    return Process(*stack.enter_context(server("sandbox.node", "node ", *arguments)))


def fill(urls: list[str], graphs: int = 9) -> None:
    """Two copies of each graph, on nodes side by side."""
    for number in range(graphs):
        for copy in (0, 1):
            put(urls[(number + copy) % len(urls)], f"urn:g{number}", GRAPH.format(number))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def _shared() -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [start_node(stack) for _ in range(3)]


@pytest.fixture
def three(_shared: list[Process]) -> list[Process]:
    """Three nodes with nine graphs, two copies of each."""
    for node in _shared:
        clear(node.url)
    fill([node.url for node in _shared])
    return _shared


@pytest.fixture
def mortal(_shared: list[Process], stack: ExitStack) -> list[Process]:
    """Give the same, and the last one may be killed."""
    nodes = [*_shared[:2], start_node(stack)]
    for node in nodes:
        clear(node.url)
    fill([node.url for node in nodes])
    return nodes


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=300, source_timeout=120, workers=1)
    yield engine
    engine.close()


class Answer(NamedTuple):
    rows: list[tuple[str, ...]]
    completeness: str


class Serving:
    """A gateway over the nodes of a list."""

    def __init__(self, path: Path, engine: Engine, timeout: float = 5) -> None:
        self.fixed = FixedCatalogue(CatalogueList(str(path)), 0.2, timeout, LinkLogger("Gateway"))
        self.app = create_app(
            engine, self.fixed.selector, lambda: self.fixed.ring, unlisted=lambda: self.fixed.unlisted(0.0)
        )
        self.fixed.start()

    def ask(self, query: str) -> Answer:
        answer = self.app.test_client().get(
            "/sparql",
            query_string={"query": query},
            headers={"Accept": "application/json", "Cache-Control": "no-cache"},
        )
        if answer.status_code == 503:  # no node is known well enough yet
            return Answer([("-1",)], "none")
        assert answer.status_code == 200, answer.data
        assert answer.json is not None
        rows = [
            tuple("_" if term["type"] == "bnode" else term["value"] for term in binding.values())
            for binding in answer.json["results"]["bindings"]
        ]
        return Answer(rows, answer.headers["Catena-Completeness"])

    def count(self, query: str) -> tuple[int, str]:
        ((number,),), completeness = self.ask(query)
        return int(number), completeness

    def get(self, path: str) -> Any:
        return self.app.test_client().get(path).json

    @property
    def states(self) -> dict[str, str]:
        return {node.id: node.state for node in self.fixed.ring.nodes.values()}


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Path]:
    """Write a list of nodes, called a, b, c, …"""

    def write(*urls: str) -> Path:
        path, new = tmp_path / "nodes.json", tmp_path / "new.json"
        new.write_text(json.dumps({id_: {"catalogue_url": url} for id_, url in zip("abcdef", urls, strict=False)}))
        new.replace(path)
        return path

    return write


@pytest.fixture
def serve(engine: Engine, stack: ExitStack) -> Callable[..., Serving]:
    def serve(path: Path, **options: float) -> Serving:
        serving = Serving(path, engine, **options)
        stack.callback(serving.fixed.close)
        return serving

    return serve


Serve = Callable[..., Serving]
WriteList = Callable[..., Path]
WHOLE = (9 * TRIPLES_OF_GRAPH, "complete")


@pytest.mark.parametrize("query", [TRIPLES, QUADS])
def test_two_copies_count_once_from_the_first_answer_on(
    three: list[Process], serve: Serve, listed: WriteList, query: str
) -> None:
    serving = serve(listed(*(node.url for node in three)))

    assert serving.count(query) == WHOLE


def test_a_node_that_is_killed_is_not_noticed(mortal: list[Process], serve: Serve, listed: WriteList) -> None:
    serving = serve(listed(*(node.url for node in mortal)))
    before = serving.ask(ALL)
    assert len(before.rows) == WHOLE[0]

    mortal[2].kill()

    assert serving.ask(ALL) == before, "before the gateway knows"
    eventually(lambda: serving.states["c"] == "down")
    assert serving.ask(ALL) == before, "and when it does"
    assert serving.count(TRIPLES) == WHOLE


def test_what_only_a_dead_node_held_is_missing_and_told(mortal: list[Process], serve: Serve, listed: WriteList) -> None:
    mortal[2].put("urn:own", "<urn:s> <urn:p> <urn:o> .")
    serving = serve(listed(*(node.url for node in mortal)))
    assert serving.count(QUADS) == (WHOLE[0] + 1, "complete")

    mortal[2].kill()

    assert serving.count(QUADS) == (WHOLE[0], "partial; missing=c")


def test_a_node_that_comes_back_empty_is_not_read_for_what_it_lost(
    mortal: list[Process], serve: Serve, listed: WriteList, stack: ExitStack
) -> None:
    serving = serve(listed(*(node.url for node in mortal)))
    assert serving.count(QUADS) == WHOLE
    mortal[2].kill()
    eventually(lambda: serving.states["c"] == "down")

    start_node(stack, "--port", str(urlsplit(mortal[2].url).port))

    eventually(lambda: serving.states["c"] == "up")
    eventually(lambda: serving.count(QUADS) == WHOLE)
    assert "c" not in serving.fixed.selector.snapshot().source_of.values()


def test_a_node_that_is_down_at_the_start_is_missing_until_it_is_there(
    serve: Serve, listed: WriteList, stack: ExitStack
) -> None:
    one, port = start_node(stack), closed_port()
    one.put("urn:g", GRAPH.format(1))
    serving = serve(listed(one.url, f"http://127.0.0.1:{port}/catalogue"))
    assert serving.count(QUADS) == (TRIPLES_OF_GRAPH, "partial; missing=b")

    other = start_node(stack, "--port", str(port))
    other.put("urn:g", GRAPH.format(1))
    other.put("urn:h", GRAPH.format(2))

    eventually(lambda: serving.count(QUADS) == (2 * TRIPLES_OF_GRAPH, "complete"))


def test_a_node_that_hangs_at_the_start_holds_up_the_first_answer_for_a_while_only(
    three: list[Process], serve: Serve, listed: WriteList
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        urls = [*(node.url for node in three), f"http://127.0.0.1:{mute.getsockname()[1]}"]
        serving = serve(listed(*urls), timeout=1)

        # On a busy machine the others may need longer than that, too.
        eventually(lambda: serving.count(QUADS) == (WHOLE[0], "partial; missing=d"))


def test_a_graph_that_is_put_later_is_seen(three: list[Process], serve: Serve, listed: WriteList) -> None:
    serving = serve(listed(*(node.url for node in three)))
    assert serving.count(QUADS) == WHOLE

    three[0].put("urn:later", "<urn:s> <urn:p> 1 , 2 .")
    assert serving.count(QUADS) == (WHOLE[0] + 2, "complete"), "on one node, before it is listed"

    for node in three[:2]:
        node.put("urn:later", GRAPH.format(100))
    eventually(lambda: serving.count(QUADS) == (WHOLE[0] + TRIPLES_OF_GRAPH, "complete"))


def test_a_list_that_changes_is_followed(three: list[Process], serve: Serve, listed: WriteList) -> None:
    path = listed(three[0].url)
    serving = serve(path)
    assert serving.count(QUADS) == (6 * TRIPLES_OF_GRAPH, "complete")

    listed(*(node.url for node in three))
    eventually(lambda: len(serving.states) == 3)
    eventually(lambda: serving.count(QUADS) == WHOLE)

    listed(three[1].url, three[2].url)
    eventually(lambda: len(serving.states) == 2)
    eventually(lambda: serving.count(QUADS) == WHOLE)


def test_a_list_that_breaks_leaves_the_nodes_as_they_are(
    three: list[Process], serve: Serve, listed: WriteList, caplog: pytest.LogCaptureFixture
) -> None:
    path = listed(*(node.url for node in three))
    serving = serve(path)
    assert serving.count(QUADS) == WHOLE

    path.write_text("{broken")

    eventually(lambda: any("the nodes stay as they are" in message for message in caplog.messages))
    assert serving.count(QUADS) == WHOLE


def test_two_gateways_agree(mortal: list[Process], serve: Serve, listed: WriteList) -> None:
    path = listed(*(node.url for node in mortal))
    one, other = serve(path), serve(path)

    assert one.fixed.selector.snapshot() == other.fixed.selector.snapshot()
    assert one.ask(ALL) == other.ask(ALL)
    mortal[2].kill()
    assert one.ask(ALL) == other.ask(ALL)


@pytest.mark.fuseki
def test_nodes_of_different_makes(three: list[Process], serve: Serve, listed: WriteList) -> None:
    with fuseki_server(own=True) as fuseki:
        fill([three[0].url, fuseki.url])
        serving = serve(listed(three[0].url, fuseki.url))

        assert serving.count(QUADS) == WHOLE
        assert serving.count(TRIPLES) == WHOLE
        assert set(serving.fixed.selector.snapshot().source_of.values()) == {"a", "b"}


def test_what_stands_where_can_be_seen(three: list[Process], serve: Serve, listed: WriteList) -> None:
    serving = serve(listed(*(node.url for node in three)))

    assert serving.count(QUADS) == WHOLE
    assert serving.get("/health")["nodes"] == {"a": "up", "b": "up", "c": "up"}
    assert [node["graphs_placed"] for node in serving.get("/nodes")["nodes"]] == [6, 6, 6]
    assert sum(node["graphs_read"] for node in serving.get("/nodes")["nodes"]) == 9
    assert serving.get("/offerings")["total"] == 9
    assert serving.get("/offerings")["offerings"][1] == {"graph": "urn:g1", "nodes": ["b", "c"]}
