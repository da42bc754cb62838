"""What nodes say they hold: each asked by itself, remembered when it dies, and asked at once when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import Answer, Handler, OddServer, closed_port, odd_server, saying
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology.clients.http import WebError
from topology.gateway.replicas.inventory import GraphInventory, pause_after, read_graphs
from topology.rdf.graph_name import MARKERS
from topology.records import Node, NodeState, Ring
from topology.ring import RingView

TSV = "text/tab-separated-values"


def ring(epoch: int = 1, state: NodeState = "up", since: int = 1, **urls: str) -> RingView:
    nodes = tuple(Node(name, url, state, since) for name, url in urls.items())
    return RingView(Ring(epoch, nodes, virtual_nodes=1, replicas=0))


def graphs(*names: str) -> Answer:
    """Return a node's answer that lists graphs."""
    return saying(b"?g\n" + b"".join(f"<{name}>\n".encode() for name in names), Content_Type=TSV)


def put(node: Sandbox, graph: str, triples: bytes = b"<urn:s> <urn:p> <urn:o> .") -> None:
    node.ask("PUT", f"/catalogue/data?graph={quote(graph, safe='')}", triples, "application/n-triples")


def listed(holdings: GraphInventory) -> dict[str, frozenset[str]]:
    """Return the graphs of each node that has said what it holds."""
    return {name: said.graphs for name, said in holdings.graphs_by_node().items() if said.graphs is not None}


def current(holdings: GraphInventory) -> set[str]:
    """Return the nodes that were asked since they came up."""
    return {name for name, said in holdings.graphs_by_node().items() if said.is_current}


@pytest.fixture
def make() -> Iterator[Callable[..., GraphInventory]]:
    """Make inventories, and close them in the end."""
    made: list[GraphInventory] = []

    def make(
        timeout: float = 5, shortest_pause: float = 0.05, on_change: Callable[[], None] = lambda: None
    ) -> GraphInventory:
        made.append(GraphInventory(timeout, LinkLogger("test"), on_change, shortest_pause))
        return made[-1]

    yield make
    for holdings in made:
        holdings.close()


@pytest.fixture
def holdings(make: Callable[..., GraphInventory]) -> GraphInventory:
    return make()


def test_a_node_s_graphs_are_listed_again_and_again(holdings: GraphInventory, node: Sandbox) -> None:
    put(node, "urn:a")
    holdings.follow(ring(a=node.url))

    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})

    put(node, "https://example.org/é?b#c")
    eventually(lambda: listed(holdings) == {"a": {"urn:a", "https://example.org/é?b#c"}})
    node.ask("DELETE", "/catalogue/data?graph=urn:a")
    eventually(lambda: listed(holdings) == {"a": {"https://example.org/é?b#c"}})


def test_a_graph_that_was_emptied_is_not_held(holdings: GraphInventory, node: Sandbox) -> None:
    """Oxigraph keeps its name."""
    put(node, "urn:a")
    put(node, "urn:emptied")
    node.ask(
        "POST",
        "/catalogue/update",
        b"DELETE DATA { GRAPH <urn:emptied> { <urn:s> <urn:p> <urn:o> } }",
        "application/sparql-update",
    )

    holdings.follow(ring(a=node.url))

    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})


def test_a_graph_that_a_blank_node_names_is_none(holdings: GraphInventory, node: Sandbox) -> None:
    node.ask(
        "POST",
        "/catalogue/data",
        b"<urn:s> <urn:p> 1 . <urn:x> { <urn:s> <urn:p> 1 } _:b { <urn:s> <urn:p> 1 }",
        "application/trig",
    )

    holdings.follow(ring(a=node.url))

    eventually(lambda: listed(holdings) == {"a": {"urn:x"}})


def test_an_empty_node_is_known_to_hold_nothing(holdings: GraphInventory, node: Sandbox) -> None:
    holdings.follow(ring(a=node.url))

    eventually(lambda: listed(holdings) == {"a": frozenset()})


@pytest.mark.parametrize(
    "answers",
    [
        saying(b"?g\n", Content_Type=TSV),
        saying(b"?g\n\n", Content_Type=TSV),  # RDF4J
        saying(b'{"head":{"vars":["g"]},"results":{"bindings":[{}]}}', Content_Type="application/sparql-results+json"),
        saying(b"not that", 400),
        saying(b"!", 500),
    ],
)
def test_a_server_that_sees_no_graph_in_an_empty_pattern_is_asked_in_full(
    holdings: GraphInventory, server: OddServer, answers: Answer
) -> None:
    in_full = graphs("urn:a")
    server.answers["/c/sparql"] = lambda request: (answers if "{}" in unquote(request.path) else in_full)(request)

    holdings.follow(ring(a=f"{server.url}/c"))

    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})


def test_such_a_server_is_heard_again_after_it_was_empty(holdings: GraphInventory, server: OddServer) -> None:
    in_full = {"answer": graphs()}
    server.answers["/c/sparql"] = lambda request: (graphs() if "{}" in unquote(request.path) else in_full["answer"])(
        request
    )
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: listed(holdings) == {"a": frozenset()})

    in_full["answer"] = graphs("urn:a")

    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})


def test_a_node_that_hangs_delays_no_other(
    make: Callable[..., GraphInventory], server: OddServer, node: Sandbox
) -> None:
    holdings = make(timeout=600)
    put(node, "urn:a")
    server.answers["/c/sparql"] = server.hang
    hung: dict[str, Any] = {f"hung{n}": f"{server.url}/c" for n in range(40)}
    holdings.follow(ring(**hung, a=node.url))

    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})
    put(node, "urn:b")
    eventually(lambda: listed(holdings) == {"a": {"urn:a", "urn:b"}})
    assert not holdings.is_complete()


def test_what_a_node_said_last_is_remembered_when_it_no_longer_answers(
    make: Callable[..., GraphInventory], node: Sandbox
) -> None:
    holdings = make(timeout=0.2)
    put(node, "urn:a")
    holdings.follow(ring(a=node.url))
    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})

    node.faults(error_rate=1)
    holdings.follow(ring(2, "down", a=node.url))

    assert listed(holdings) == {"a": {"urn:a"}}
    assert holdings.is_complete(), "a node that is not up is not waited for"
    assert current(holdings) == set(), "it may hold something else by now"


def test_a_node_that_comes_up_is_asked_at_once(make: Callable[..., GraphInventory], server: OddServer) -> None:
    holdings = make(shortest_pause=3600)
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings.follow(ring(1, a=f"{server.url}/c"))
    eventually(holdings.is_complete)
    server.answers["/c/sparql"] = graphs("urn:b")

    holdings.follow(ring(2, "suspect", a=f"{server.url}/c"))
    assert listed(holdings) == {"a": {"urn:a"}}
    holdings.follow(ring(3, since=3, a=f"{server.url}/c"))

    eventually(lambda: current(holdings) == {"a"})
    assert listed(holdings) == {"a": {"urn:b"}}


def test_so_is_one_that_came_up_while_it_was_asked(make: Callable[..., GraphInventory], server: OddServer) -> None:
    holdings = make(shortest_pause=3600)

    def answer(request: Handler) -> None:
        holdings.follow(ring(2, since=2, a=f"{server.url}/c"))
        server.answers["/c/sparql"] = graphs("urn:b")
        graphs("urn:a")(request)

    server.answers["/c/sparql"] = answer
    holdings.follow(ring(1, a=f"{server.url}/c"))

    eventually(lambda: listed(holdings) == {"a": {"urn:b"}})
    eventually(holdings.is_complete)


def test_a_node_that_moved_is_another_one(
    make: Callable[..., GraphInventory], server: OddServer, node: Sandbox
) -> None:
    holdings = make(shortest_pause=3600)
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})

    holdings.follow(ring(a=f"http://127.0.0.1:{closed_port()}"))
    assert listed(holdings) == {}

    holdings.follow(ring())
    assert listed(holdings) == {}


def test_it_is_known_when_a_node_said_so(make: Callable[..., GraphInventory], server: OddServer) -> None:
    holdings = make()
    server.answers["/c/sparql"] = graphs("urn:a")
    before = time.monotonic()
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: listed(holdings))
    first = holdings.graphs_by_node()["a"]
    assert before <= first.began <= time.monotonic()

    eventually(lambda: holdings.graphs_by_node()["a"].began > first.began)
    assert holdings.graphs_by_node()["a"].graphs is first.graphs, (
        "the same as before, so that it need not be looked through again"
    )


def test_an_older_ring_that_comes_late_is_none(make: Callable[..., GraphInventory], server: OddServer) -> None:
    holdings = make()
    holdings.follow(ring(2, a=f"{server.url}/c"))

    holdings.follow(ring(1))

    assert holdings.graphs_by_node().keys() == {"a"}


def test_changes_are_told_and_nothing_else(make: Callable[..., GraphInventory], server: OddServer) -> None:
    told: list[int] = []
    holdings = make(on_change=lambda: told.append(len(server.asked)))
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: len(server.asked) >= 4)
    assert told == [1]

    server.answers["/c/sparql"] = graphs("urn:a", "urn:b")
    eventually(lambda: len(told) == 2)
    assert listed(holdings) == {"a": {"urn:a", "urn:b"}}


@pytest.mark.parametrize("fault", ["hangs", "trickles", "is endless", "fails", "talks nonsense", "is not there"])
def test_a_node_that_cannot_be_listed_is_told_of_once(
    make: Callable[..., GraphInventory], fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("topology.gateway.replicas.inventory._PAUSE_FACTOR", 0)
    with odd_server() as server:
        server.answers["/c/sparql"] = {
            "hangs": server.hang,
            "trickles": server.trickle,
            "is endless": server.endless,
            "fails": saying(b"oh", 500),
            "talks nonsense": saying(b"<html>", Content_Type="text/html"),
            "is not there": saying(),
        }[fault]
        asked: list[bool] = []
        holdings = make(timeout=0.3, on_change=lambda: asked.append(True))
        url = f"http://127.0.0.1:{closed_port()}" if fault == "is not there" else f"{server.url}/c"
        holdings.follow(ring(a=url))
        eventually(holdings.is_complete)
        if fault != "is not there":
            eventually(lambda: len(server.asked) >= 5)
        holdings.close()

    assert listed(holdings) == {}
    assert asked == [True]
    assert len([message for message in caplog.messages if "a does not say which graphs it holds" in message]) == 1


@pytest.mark.parametrize("fault", ["hangs", "refuses", "talks nonsense"])
def test_node_that_is_up_and_does_not_list_its_graphs_is_named_after_a_while(
    make: Callable[..., GraphInventory], server: OddServer, fault: str
) -> None:
    faults = {"hangs": server.hang, "refuses": saying(b"not you", 403), "talks nonsense": saying(b"<html>")}
    server.answers["/c/sparql"] = faults[fault]
    holdings = make(timeout=0.2)

    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: holdings.unlisted(0.0))

    said = holdings.unlisted(0.0)["a"]
    assert said.startswith("it does not say which graphs it holds: ")
    assert "SELECT" not in said, "the query is no one's business"
    assert holdings.unlisted(3600.0) == {}
    holdings.follow(ring(2, "down", a=f"{server.url}/c"))
    assert holdings.unlisted(0.0) == {}, "a node that is down has another report"
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings.follow(ring(3, "up", 3, a=f"{server.url}/c"))
    eventually(lambda: holdings.unlisted(0.0) == {})


def test_a_refresh_waits_for_lists_from_now_on(make: Callable[..., GraphInventory], server: OddServer) -> None:
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings = make(shortest_pause=60)
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: current(holdings))
    server.answers["/c/sparql"] = graphs("urn:a", "urn:b")

    holdings.refresh()

    assert listed(holdings) == {"a": {"urn:a", "urn:b"}}


def test_a_refresh_does_not_wait_long_for_a_node_that_hangs(
    make: Callable[..., GraphInventory], server: OddServer
) -> None:
    server.answers["/c/sparql"] = graphs("urn:a")
    holdings = make(timeout=3600, shortest_pause=60)
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: current(holdings))
    server.answers["/c/sparql"] = server.hang

    holdings.refresh()  # does not wait for that

    assert listed(holdings) == {"a": {"urn:a"}}


def test_a_node_with_odd_tsv_is_listed_in_another_format(
    make: Callable[..., GraphInventory], server: OddServer
) -> None:
    def answer(request: Handler) -> None:
        if TSV in request.headers["Accept"]:
            request.say(b'"g"\n"urn:a"\n', Content_Type=TSV)
        else:
            request.say_json(
                {"head": {"vars": ["g"]}, "results": {"bindings": [{"g": {"type": "uri", "value": "urn:a"}}]}}
            )

    server.answers["/c/sparql"] = answer
    holdings = make()
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: listed(holdings) == {"a": {"urn:a"}})


def test_a_list_in_tsv_that_only_the_end_of_the_connection_ends_is_not_taken_for_whole(
    make: Callable[..., GraphInventory], server: OddServer
) -> None:
    def answer(request: Handler) -> None:
        if TSV in request.headers["Accept"]:
            request.close_connection = True
            request.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Type: {TSV}\r\n\r\n?g\n<urn:a>\n".encode())
        else:
            bindings = [{"g": {"type": "uri", "value": name}} for name in ("urn:a", "urn:b")]
            request.say_json({"head": {"vars": ["g"]}, "results": {"bindings": bindings}})

    server.answers["/c/sparql"] = answer
    holdings = make()
    holdings.follow(ring(a=f"{server.url}/c"))
    eventually(lambda: current(holdings))
    assert listed(holdings) == {"a": {"urn:a", "urn:b"}}


def test_a_listing_that_takes_long_comes_seldom() -> None:
    assert pause_after(0.01, shortest=5) == 5
    assert pause_after(3, shortest=5) == 60


class TestReading:
    def test_all_three_formats(self) -> None:
        tsv = b"?g\n<urn:a>\n_:b\n<https://example.org/\\u00E9>\n"
        json = (
            b'{"head":{"vars":["g"]},"results":{"bindings":[{"g":{"type":"uri","value":"urn:a"}},'
            b'{"g":{"type":"bnode","value":"b"}}]}}'
        )

        assert read_graphs(f"{TSV}; charset=utf-8", tsv) == {"urn:a", "https://example.org/é"}
        assert read_graphs("application/sparql-results+json", json) == {"urn:a"}
        assert read_graphs("application/json", json) == {"urn:a"}
        assert read_graphs(TSV, b"g\r\n<urn:a>\r\n") == {"urn:a"}
        for unsaid in ("", "text/plain; charset=utf-8", "application/octet-stream"):
            assert read_graphs(unsaid, b"\xef\xbb\xbf" + json) == read_graphs(unsaid, b"?g\n<urn:a>\n") == {"urn:a"}

    def test_markers_are_left_out(self) -> None:
        assert read_graphs(TSV, f"?g\n<{MARKERS}abc>\n<urn:a>\n".encode()) == {"urn:a"}

    def test_a_name_is_the_same_as_in_rows(self) -> None:
        assert read_graphs(TSV, b"?g\n<urn:no iri>\n<urn:\\u00e9>\n") == {"urn:no iri", "urn:é"}

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (TSV, b""),
            (TSV, b"?g"),
            (TSV, b"\xff\n"),
            (TSV, b"?g\t?h\n<urn:a>\t<urn:b>\n"),
            (TSV, b"?g\n<urn:a\n"),
            (TSV, b"?g\n<urn:a>\n<urn:b>"),
            (TSV, b"?g\n" + b"<<( <urn:s> <urn:p> " * 20_000 + b"<urn:o>" + b" )>>" * 20_000 + b"\n"),
            ("application/sparql-results+json", b'{"head":{"vars":["g"]},"results":{"bindings":' + b"[" * 1_000_000),
            ("application/sparql-results+json", b'{"head":{},"boolean":true}'),
            ("application/sparql-results+json", b'{"head":{"vars":["g"]},"results":{"bindings":[{"g":'),
            (TSV, b"?g\n<relative>\n"),
            (TSV, b'?g\n<urn:a>\n"literal"\n'),
            (TSV, b"?g\n<<( <urn:s> <urn:p> <urn:o> )>>\n"),
            ("application/json", b'{"head":{"vars":["g"]},"results":{"bindings":[{}]}}'),
            ("text/html", b"?g\n"),
            ("text/csv", b"g\nurn:a\n"),
            ("", b"no list"),
            ("text/plain", b"<html>down</html>"),
        ],
    )
    def test_what_is_no_list_is_refused(self, content_type: str, body: bytes) -> None:
        with pytest.raises(WebError, match="the list"):
            read_graphs(content_type, body)
