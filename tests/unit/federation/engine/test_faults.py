"""Nodes that fail, hang or send too much are replaced; what is missing is said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from federation.budget import Limits, MemoryPool
from federation.engine import Engine
from federation.errors import (
    QueryTimeoutError,
    SourceFailedError,
    TooBusyError,
    TooLargeError,
)
from federation.source_selection import Snapshot, Source
from tests.helpers.engine import COUNT, GRAPHS, owners, snapshot, value
from tests.helpers.sparql_node import Node, put


@pytest.mark.parametrize("fault", ["error", "hang", "cut", "trickle", "wrong", "down"])
def test_a_node_that_fails_is_replaced(nodes: list[Node], engine: Engine, fault: str) -> None:
    if fault == "down":
        nodes[1].stop()
    nodes[1].fault = fault
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("12", ())
    # What the others had sent was used again.
    assert [len(node.queries) for node in (nodes[0], nodes[2])] == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g {} }",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { OPTIONAL { ?s <urn:nothing> ?o } } }",
        f"SELECT (COUNT(*) + {len(GRAPHS)} AS ?n) {{ GRAPH <urn:nobody-knows> {{}} }}",
    ],
)
def test_which_graphs_exist_is_found_where_an_empty_group_finds_none(
    nodes: list[Node], engine: Engine, text: str
) -> None:
    for node in nodes:
        node.fault = "empty group"
    answer = engine.query(text, snapshot(nodes))
    assert (value(answer.body), answer.missing) == (str(len(GRAPHS)), ())


def test_a_connection_closed_by_the_node_is_no_failure(nodes: list[Node], engine: Engine) -> None:
    engine.query(COUNT, snapshot(nodes))
    nodes[0].fault = "once"
    assert value(engine.query(COUNT, snapshot(nodes)).body) == "12"


def test_without_failover_the_caller_learns_who_failed(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = nodes[2].fault = "error"
    with pytest.raises(SourceFailedError, match="status 500") as caught:
        engine.query(COUNT, snapshot(nodes))
    assert caught.value.sources and caught.value.sources <= {"node0", "node2"}


def test_when_both_copies_are_lost_the_answer_says_so(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = nodes[1].fault = "error"
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("8", ("node0", "node1"))


def test_an_answer_from_graphs_that_are_there_is_complete(nodes: list[Node], engine: Engine) -> None:
    lost = snapshot(nodes, frozenset({"node0", "node1"}))
    assert lost.unavailable
    for text, missing in (
        ("SELECT (COUNT(*) AS ?n) { GRAPH <urn:g1> { ?s <urn:p> ?o } }", ()),
        ("SELECT (COUNT(*) + 2 AS ?n) FROM <urn:g1> FROM <urn:nobody-knows> { ?s <urn:nothing> ?o }", lost.unavailable),
        ("SELECT (COUNT(*) + 2 AS ?n) FROM <urn:g0> { ?s <urn:p> ?o }", lost.unavailable),
        ("SELECT (2 AS ?n) {}", ()),
    ):
        answer = engine.query(text, lost)
        assert (value(answer.body), answer.missing) == ("2", missing)


def test_when_all_nodes_are_lost_there_is_no_answer(nodes: list[Node], engine: Engine) -> None:
    for node in nodes:
        node.fault = "error"
    with pytest.raises(SourceFailedError, match="no catalogue node answers") as caught:
        engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert caught.value.sources == {"node0", "node1", "node2"}
    for name in sorted(caught.value.sources):
        assert f"node {name} answers with status 500" in str(caught.value)


def test_where_no_node_is_known_to_live_it_is_told_which_are_missing(engine: Engine) -> None:
    for _ in range(2):
        with pytest.raises(SourceFailedError, match=r"^no catalogue node answers; missing: node0, node1$") as caught:
            engine.query_with_failover(COUNT, lambda _: Snapshot((), unavailable=("node0", "node1")))
        assert caught.value.sources == {"node0", "node1"}


def test_a_snapshot_that_cannot_avoid_a_node_ends_the_attempts(nodes: list[Node], engine: Engine) -> None:
    nodes[0].fault = "error"
    with pytest.raises(SourceFailedError, match="node0"):
        engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes))


@pytest.mark.parametrize("query", [COUNT, "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s a <urn:C> ; <urn:p> ?o } }"])
def test_graphs_that_move_all_the_time_are_all_there(nodes: list[Node], engine: Engine, query: str) -> None:
    """Each snapshot is outdated when it has been revision: the next graph has moved, and is gone where it was."""
    source_of = {graph: n % 3 for n, graph in enumerate(GRAPHS)}
    for n, graph in enumerate(GRAPHS):
        nodes[(n + 1) % 3].delete(graph)
    revision = 0

    def restless(avoided: frozenset[str]) -> Snapshot:
        nonlocal revision
        revision += 1
        sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
        outdated = Snapshot(sources, {graph: f"node{n}" for graph, n in source_of.items()}, revision=revision)
        number, graph = revision % len(GRAPHS), GRAPHS[revision % len(GRAPHS)]
        old, source_of[graph] = source_of[graph], (source_of[graph] + 1) % 3
        put(nodes[source_of[graph]], graph, f"<urn:s{number}> <urn:p> 1, 2 ; a <urn:C> .")
        nodes[old].delete(graph)
        return outdated

    for _ in range(10):
        before = revision
        assert value(engine.query_with_failover(query, restless).body) == "12"
        assert revision - before < 50


@pytest.mark.slow
def test_a_hung_node_does_not_outlast_the_query(nodes: list[Node]) -> None:
    engine = Engine(timeout=300, source_timeout=300, workers=1)
    try:
        engine.prepare(COUNT)  # apart from the time for the query: on a busy machine it may take longer than that
        for node in nodes:
            node.fault = "hang"
        with pytest.raises(QueryTimeoutError, match="nodes node0, node1, node2"):
            engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided), timeout=4)
    finally:
        engine.close()


def test_a_query_waits_for_the_memory_that_others_hold(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    waits, reserve = threading.Event(), MemoryPool.reserve

    def noting(pool: MemoryPool, size: int, check: Callable[[], None]) -> None:
        waits.set()
        reserve(pool, size, check)

    monkeypatch.setattr(MemoryPool, "reserve", noting)
    engine = Engine(limits=Limits(max_fetched_bytes=10_000), workers=1)
    try:
        others = [engine.prepare(COUNT) for _ in range(2)]
        for other in others:
            other.budget.charge(9_990)
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(engine.query, COUNT, snapshot(nodes))
            assert waits.wait(60)
            assert not answer.done()
            others.pop().budget.end()
            assert value(answer.result().body) == "12"
        engine.prepare(COUNT).budget.charge(10_000)  # there is room for it again
    finally:
        engine.close()


def test_a_query_says_that_others_held_the_memory_for_all_of_its_time(nodes: list[Node]) -> None:
    engine = Engine(limits=Limits(max_fetched_bytes=10_000), workers=1)
    try:
        for _ in range(2):
            engine.prepare(COUNT).budget.charge(9_990)
        with pytest.raises(TooBusyError, match="ask again"):
            engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided), timeout=3)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_triples=10), "more than 10 triples"),
        (Limits(max_fetched_bytes=300), "more than 300 bytes"),
        (Limits(max_result_bytes=300), "LIMIT"),
    ],
)
def test_limits(nodes: list[Node], limits: Limits, said: str) -> None:
    engine = Engine(limits=limits, workers=1)
    try:
        with pytest.raises(TooLargeError, match=said):
            engine.query("SELECT * { ?s <urn:p> ?o }", snapshot(nodes))
        assert (
            value(engine.query("SELECT (COUNT(*) AS ?n) { GRAPH <urn:g1> { ?s <urn:p> 1 } }", snapshot(nodes)).body)
            == "1"
        )
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        ("endless", Limits(max_fetched_bytes=8 * 2**20)),
        ("repeated", Limits(max_fetched_bytes=7 * 2**20)),
        ("repeated", Limits(max_triples=1000)),
    ],
)
def test_node_that_sends_more_than_it_has_is_replaced(nodes: list[Node], fault: str, limits: Limits) -> None:
    engine = Engine(timeout=300, source_timeout=300, limits=limits, workers=1)
    try:
        nodes[1].fault = fault
        answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
        assert (value(answer.body), answer.missing) == ("12", ())
        with pytest.raises(SourceFailedError, match="node node1 sends more"):
            engine.query(COUNT, snapshot(nodes))
    finally:
        engine.close()


def test_nodes_that_hold_too_much_for_a_query_have_not_failed(nodes: list[Node]) -> None:
    engine = Engine(limits=Limits(max_fetched_bytes=8 * 2**20), workers=1)
    try:
        long = " , ".join(f'"{n}{"x" * 60_000}"' for n in range(150))
        for holder in owners(0):  # where the first is slow, the other one is asked
            put(nodes[holder], "urn:g0", f"<urn:s0> <urn:long> {long} .")
        with pytest.raises(TooLargeError, match="bytes"):
            engine.query_with_failover("SELECT * { ?s <urn:long> ?o }", lambda avoided: snapshot(nodes, avoided))
    finally:
        engine.close()


def test_nodes_whose_tsv_cannot_be_read_are_asked_for_another_format(nodes: list[Node]) -> None:
    engine = Engine(timeout=300, source_timeout=120, workers=1)
    try:
        for node in nodes:
            node.fault = "unmarked"
        answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
        assert (value(answer.body), answer.missing) == ("12", ())
    finally:
        engine.close()


@pytest.mark.parametrize("fault", ["nonsense", "long"])
def test_a_node_that_sends_what_is_no_rdf_is_replaced(nodes: list[Node], engine: Engine, fault: str) -> None:
    nodes[0].fault = fault
    answer = engine.query_with_failover(COUNT, lambda avoided: snapshot(nodes, avoided))
    assert (value(answer.body), answer.missing) == ("12", ())
    with pytest.raises(SourceFailedError, match="no RDF") as caught:
        engine.query(COUNT, snapshot(nodes))
    assert caught.value.sources == {"node0"}
