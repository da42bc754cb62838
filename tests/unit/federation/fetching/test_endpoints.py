"""Asking nodes, and how they answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from federation.analysis.plan import Dataset, Pattern
from federation.budget import Effort, Limits
from federation.errors import FederationError, QueryCancelled, QueryTimeout, SourceFailed, TooLarge
from federation.fetching.endpoints import Nodes, _Manners
from federation.fetching.subquery import Request, request
from federation.source_selection import Source
from tests.helpers.sparql_node import Node, put, running_nodes
from tests.helpers.waiting import eventually


def everything() -> Request:
    asked = request([Pattern("")], (), Dataset(None, None))
    assert asked
    return asked


REQUEST = everything()


@pytest.fixture
def node() -> Iterator[Node]:
    with running_nodes(1) as (node,):
        put(node, "urn:g", "<urn:s> <urn:p> 1 .")
        yield node


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes(1.5, 10)
    yield nodes
    nodes.close()


def source(node: Node) -> Source:
    return Source("a", node.url)


def effort(seconds: float = 30) -> Effort:
    return Effort(seconds, Limits())


@pytest.mark.parametrize("media_type", ["text/tab-separated-values", "application/sparql-results+json"])
def test_rows_come_without_their_header(node: Node, nodes: Nodes, media_type: str) -> None:
    node.media_type = media_type
    (row,) = nodes.ask(source(node), REQUEST, effort()).splitlines()
    assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]


def test_what_it_sends_is_spent(node: Node, nodes: Nodes) -> None:
    with pytest.raises(TooLarge):
        nodes.ask(source(node), REQUEST, Effort(30, Limits(most_pulled_bytes=10)))


@pytest.mark.parametrize(
    ("took", "patience"),
    [
        ([], 0.5),
        ([0.001] * 4, 0.5),
        ([0.001] * 5, 0.03),
        ([0.1] * 9 + [5.0], 1.0),
        ([0.1] * 10 + [5.0], 0.2),
        ([7.0] * 5, 1.0),
        ([7.0] * 64 + [0.1] * 64, 0.2),
    ],
)
def test_patience_is_twice_what_nine_of_ten_answers_took_within_bounds(took: list[float], patience: float) -> None:
    manners = _Manners()
    manners.seconds.extend(took)
    assert manners.patience == pytest.approx(patience)


@pytest.mark.parametrize("error", ["error", "wrong", "cut"])
def test_answers_that_are_none_do_not_shorten_patience(node: Node, nodes: Nodes, error: str) -> None:
    node.fault = error
    for _ in range(5):
        with pytest.raises(SourceFailed) as caught:
            nodes.ask(source(node), REQUEST, effort())
        assert caught.value.sources == {"a"}
    assert nodes.patience("a") == 0.5
    assert not nodes.suspects(["a"])


def test_a_node_that_does_not_listen_has_failed_and_does_not_seem_to_hang(node: Node, nodes: Nodes) -> None:
    node.stop()
    with pytest.raises(SourceFailed, match=r"does not answer: .*refused"):
        nodes.ask(source(node), REQUEST, effort())
    assert not nodes.suspects(["a"])


def test_a_node_that_was_silent_too_long_is_suspected_until_it_answers(node: Node, nodes: Nodes) -> None:
    node.fault = "hang"
    with pytest.raises(SourceFailed, match=r"within 1\.5 s"):
        nodes.ask(source(node), REQUEST, effort())
    assert nodes.suspects(["a", "b"]) == {"a"}
    node.fault = ""
    nodes.ask(source(node), REQUEST, effort())
    assert not nodes.suspects(["a"])


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_so_is_one_that_outlasted_the_query(node: Node, fault: str) -> None:
    nodes = Nodes(30, 10)
    node.fault = fault
    with pytest.raises(QueryTimeout, match="node a"):
        nodes.ask(source(node), REQUEST, effort(1.5))
    assert nodes.suspects(["a"]) == {"a"}
    nodes.close()


def test_a_query_without_time_says_nothing_of_the_node(node: Node, nodes: Nodes) -> None:
    node.fault = "hang"
    with pytest.raises(QueryTimeout):
        nodes.ask(source(node), REQUEST, effort(0.1))
    with pytest.raises(QueryTimeout):
        nodes.ask(source(node), REQUEST, effort(-1))
    assert not nodes.suspects(["a"])


def test_what_trickles_for_a_query_that_has_ended_is_let_go_of(node: Node) -> None:
    nodes = Nodes(30, 10)
    node.fault = "trickle"
    spent, ended = effort(), []

    def ask() -> None:
        try:
            nodes.ask(source(node), REQUEST, spent)
        except FederationError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: node.queries)
    spent.end()
    thread.join(30)
    assert [type(error) for error in ended] == [QueryCancelled]
    nodes.close()


def test_a_node_that_hangs_is_left_eight_requests(node: Node) -> None:
    nodes = Nodes(4, 20)
    node.fault = "hang"

    def ask() -> None:
        with pytest.raises(SourceFailed):
            nodes.ask(source(node), REQUEST, effort())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: nodes.suspects(["a"]) and len(node.queries) == 8)
    node.fault = ""
    eventually(lambda: _refused(nodes, node), timeout=2.5)
    for thread in threads:
        thread.join()
    nodes.ask(source(node), REQUEST, effort())
    nodes.close()


def _refused(nodes: Nodes, node: Node) -> bool:
    try:
        nodes.ask(source(node), REQUEST, effort())
    except SourceFailed as error:
        return "has not answered 8 other requests yet" in str(error)
    return False


def test_addresses_that_must_not_be_called_are_not_called(nodes: Nodes) -> None:
    with pytest.raises(SourceFailed):
        nodes.ask(Source("a", "file:///etc/passwd"), REQUEST, effort())
