"""Asking nodes, and how they answer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from federation.analysis.plan import Dataset, Pattern
from federation.budget import Budget, Limits
from federation.errors import (
    BadAnswerError,
    FederationError,
    QueryCancelledError,
    QueryTimeoutError,
    SilentSourceError,
    SourceFailedError,
    TooLargeError,
)
from federation.fetching.endpoints import Endpoints, _from_tsv, _ResponseTimes
from federation.fetching.subquery import Subquery, subquery
from federation.source_selection import Source
from tests.helpers.sparql_node import Node, put, running_nodes
from tests.helpers.waiting import eventually


def everything() -> Subquery:
    asked = subquery([Pattern("")], (), Dataset(None, None))
    assert asked
    return asked


REQUEST = everything()


@pytest.fixture
def node() -> Iterator[Node]:
    with running_nodes(1) as (node,):
        put(node, "urn:g", "<urn:s> <urn:p> 1 .")
        yield node


@pytest.fixture
def nodes() -> Iterator[Endpoints]:
    nodes = Endpoints(1.5, 10)
    yield nodes
    nodes.close()


def source(node: Node) -> Source:
    return Source("a", node.url)


def budget(seconds: float = 30) -> Budget:
    return Budget(seconds, Limits())


@pytest.mark.parametrize(
    "media_type",
    [
        "text/tab-separated-values",
        "application/sparql-results+json",
        "application/json",
        "application/sparql-results+xml",
    ],
)
def test_rows_come_without_their_header(node: Node, nodes: Endpoints, media_type: str) -> None:
    node.media_type = media_type
    (row,) = nodes.ask(source(node), REQUEST, budget()).splitlines()
    assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]


def test_rows_that_are_no_utf_8_are_refused(node: Node, nodes: Endpoints) -> None:
    node.fault = "latin"
    with pytest.raises(SourceFailedError):
        nodes.ask(source(node), REQUEST, budget())


def test_columns_may_lack_question_marks(node: Node, nodes: Endpoints) -> None:
    node.fault = "bare"
    (row,) = nodes.ask(source(node), REQUEST, budget()).splitlines()
    assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]
    assert len(node.queries) == 1


def test_a_node_with_odd_tsv_is_asked_for_other_formats_from_then_on(node: Node, nodes: Endpoints) -> None:
    node.fault = "quoted"
    for requests in (2, 3):
        (row,) = nodes.ask(source(node), REQUEST, budget()).splitlines()
        assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]
        assert len(node.queries) == requests


def test_tsv_that_only_the_end_of_the_connection_ends_is_not_taken_for_whole(node: Node, nodes: Endpoints) -> None:
    node.fault = "lengthless"
    for requests in (2, 3):
        (row,) = nodes.ask(source(node), REQUEST, budget()).splitlines()
        assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]
        assert len(node.queries) == requests


def test_the_names_of_columns_alone_are_no_whole_table() -> None:
    assert _from_tsv(["s", "g"], b"?s\t?g\n") == b""
    assert _from_tsv(["s", "g"], b"?s\t?g") is None


def test_tsv_is_read_from_a_node_that_has_nothing_else(node: Node, nodes: Endpoints) -> None:
    nodes.avoid_tsv({"a": 0.0})
    (row,) = nodes.ask(source(node), REQUEST, budget()).splitlines()
    assert row.split(b"\t")[::3] == [b"<urn:s>", b"<urn:g>"]


def test_tsv_that_several_queries_cannot_read_fails_for_none_of_them(nodes: Endpoints) -> None:
    before = time.monotonic()
    assert nodes.avoid_tsv({"a": before})
    assert nodes.avoid_tsv({"a": before})  # it was under way when the other query gave up TSV
    assert not nodes.avoid_tsv({"a": time.monotonic() + 1})


def test_failures_of_a_node_are_reported_once_a_minute() -> None:
    reported: list[tuple[str, str]] = []
    nodes = Endpoints(1.5, 10, lambda node, reason: reported.append((node, reason)))
    nodes.report(["a", "b"], "one")
    nodes.report(["a", "c"], "two")
    assert reported == [("a", "one"), ("b", "one"), ("c", "two")]
    nodes.close()


def test_what_it_sends_is_spent(node: Node, nodes: Endpoints) -> None:
    with pytest.raises(TooLargeError):
        nodes.ask(source(node), REQUEST, Budget(30, Limits(max_fetched_bytes=10)))


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
    times = _ResponseTimes()
    times.seconds.extend(took)
    assert times.patience == pytest.approx(patience)


class _Growing(deque[float]):
    """Times to which another request adds one as soon as they have been looked at."""

    def __iter__(self) -> Iterator[float]:
        seen = list(super().__iter__())
        self.append(0.1)
        return iter(seen)


def test_patience_holds_while_other_requests_end() -> None:
    times = _ResponseTimes()
    times.seconds = _Growing([0.1] * 9)
    assert times.patience == pytest.approx(0.2)


@pytest.mark.parametrize("error", ["error", "wrong", "cut", "limited"])
def test_answers_that_are_none_do_not_shorten_patience(node: Node, nodes: Endpoints, error: str) -> None:
    node.fault = error
    for _ in range(5):
        with pytest.raises(SourceFailedError) as caught:
            nodes.ask(source(node), REQUEST, budget())
        assert caught.value.sources == {"a"}
    assert nodes.patience("a") == 0.5
    assert not nodes.suspects(["a"])


def test_a_node_that_does_not_listen_has_failed_and_does_not_seem_to_hang(node: Node, nodes: Endpoints) -> None:
    node.stop()
    with pytest.raises(SourceFailedError, match=r"does not answer: .*Could not connect"):
        nodes.ask(source(node), REQUEST, budget())
    assert not nodes.suspects(["a"])


def test_a_node_that_was_silent_too_long_is_suspected_until_it_answers(node: Node, nodes: Endpoints) -> None:
    node.fault = "hang"
    with pytest.raises(SilentSourceError, match=r"within 1\.5 s"):
        nodes.ask(source(node), REQUEST, budget())
    assert nodes.suspects(["a", "b"]) == {"a"}
    node.fault = ""
    nodes.ask(source(node), REQUEST, budget())
    assert not nodes.suspects(["a"])


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_so_is_one_that_outlasted_the_query(node: Node, fault: str) -> None:
    nodes = Endpoints(30, 10)
    node.fault = fault
    with pytest.raises(QueryTimeoutError, match="node a"):
        nodes.ask(source(node), REQUEST, budget(1.5))
    assert nodes.suspects(["a"]) == {"a"}
    nodes.close()


def test_a_query_without_time_says_nothing_of_the_node(node: Node, nodes: Endpoints) -> None:
    node.fault = "hang"
    with pytest.raises(QueryTimeoutError):
        nodes.ask(source(node), REQUEST, budget(0.1))
    with pytest.raises(QueryTimeoutError):
        nodes.ask(source(node), REQUEST, budget(-1))
    assert not nodes.suspects(["a"])


def test_what_trickles_for_a_query_that_has_ended_is_let_go_of(node: Node) -> None:
    nodes = Endpoints(30, 10)
    node.fault = "trickle"
    spent, ended = budget(), []

    def ask() -> None:
        try:
            nodes.ask(source(node), REQUEST, spent)
        except FederationError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: node.queries)
    spent.end()
    thread.join(120)
    assert [type(error) for error in ended] == [QueryCancelledError]
    nodes.close()


@pytest.mark.slow
def test_a_node_that_hangs_is_left_eight_requests(node: Node) -> None:
    nodes = Endpoints(60, 60)
    node.fault = "hang"

    def ask() -> None:
        with pytest.raises(SourceFailedError):
            nodes.ask(source(node), REQUEST, budget())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: nodes.suspects(["a"]) and len(node.queries) == 8)
    node.fault = ""
    eventually(lambda: _refused(nodes, node))
    node.stopping.set()  # its requests end without an answer; it goes on
    for thread in threads:
        thread.join()
    nodes.ask(source(node), REQUEST, budget())
    nodes.close()


def _refused(nodes: Endpoints, node: Node) -> bool:
    try:
        nodes.ask(source(node), REQUEST, budget())
    except SourceFailedError as error:
        return "has not answered 8 other requests yet" in str(error)
    return False


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://169.254.169.254/sparql", "http://2852039166/sparql", "http://[::1/", ""]
)
def test_addresses_that_must_not_be_called_are_not_called(nodes: Endpoints, address: str) -> None:
    with pytest.raises(SourceFailedError):
        nodes.ask(Source("a", address), REQUEST, budget())
    assert not nodes.suspects(["a"])


@pytest.mark.parametrize("fault", ["error", "wrong", "limited"])
def test_a_bad_answer_is_another_failure_than_a_busy_node(node: Node, nodes: Endpoints, fault: str) -> None:
    node.fault = fault
    with pytest.raises(BadAnswerError):
        nodes.ask(source(node), REQUEST, budget())
    node.fault = "busy"
    with pytest.raises(SourceFailedError, match="status 503") as caught:
        nodes.ask(source(node), REQUEST, budget())
    assert not isinstance(caught.value, BadAnswerError)


def test_a_redirect_is_not_followed(node: Node, nodes: Endpoints) -> None:
    with running_nodes(1) as (other,):
        node.fault = f"redirect {other.url}"
        with pytest.raises(SourceFailedError, match="status 30"):
            nodes.ask(source(node), REQUEST, budget())
        assert not other.queries
