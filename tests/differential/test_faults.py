"""Nodes that fail while queries run: the answers are exact all the same, come in time, and say what is missing.

A node may take minutes for an answer here, so an answer within a minute shows that nobody waited for that.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from federation.engine import Answer, Engine
from tests.differential.catalogue import Catalogue, SandboxNode, sandbox_processes
from tests.differential.faulty import FAILURES, HANGS, Proxy, proxies
from tests.differential.queries import ORDERED, PROLOGUE, QUERIES
from tests.differential.reference import Result
from tests.differential.worlds import FEATURES
from tests.helpers.waiting import eventually
from tests.servers import Fuseki
from tests.servers.process import free_port

PLACED = replace(FEATURES, provided={}, doubled={})
OWN = replace(FEATURES, doubled={})
IN_TIME = 60.0  # seconds
ASKED = [
    "star",
    "aggregate per graph",
    "LIMIT and OFFSET",
    "GRAPH with variable",
    "path: zero or more, both free",
    "DESCRIBE from WHERE",
]


@pytest.fixture(scope="module")
def processes() -> Iterator[list[SandboxNode]]:
    """Sandbox nodes that tests may freeze, as long as they let them go on in the end."""
    with sandbox_processes(3) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def between(processes: list[SandboxNode]) -> Iterator[list[Proxy]]:
    """Proxies for these nodes."""
    with proxies([node.url for node in processes]) as made:
        yield made


@pytest.fixture(scope="module")
def placed(processes: list[SandboxNode], between: list[Proxy]) -> Catalogue:
    """Two copies of everything, read through the proxies."""
    return Catalogue([proxy.url for proxy in between], PLACED, writing_to=[node.url for node in processes])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One that has got to know its nodes."""
    with fresh_engine() as engine:
        yield engine


@contextmanager
def fresh_engine() -> Iterator[Engine]:
    engine = Engine(source_timeout=240, timeout=300, workers=1)
    try:
        yield engine
    finally:
        engine.close()


def answers(engine: Engine, catalogue: Catalogue, names: Sequence[str] = ASKED, rounds: int = 2) -> list[Answer]:
    """Ask queries, cold and again, and check that the answers are exact, complete and in time."""
    answers = []
    for name in [*names] * rounds:
        start = time.monotonic()
        answer = engine.query_with_failover(PROLOGUE + QUERIES[name], catalogue.snapshot, fresh=True)
        took = time.monotonic() - start
        found = Result.read(answer.body, answer.media_type)
        expected = catalogue.reference(frozenset(answer.missing)).answer(PROLOGUE + QUERIES[name])
        assert found.same(expected, ordered=name in ORDERED), (name, found, expected)
        assert took < IN_TIME, f"{name} took {took:.1f} s: {answer.steps}"
        answers.append(answer)
    return answers


def complete(answers: Sequence[Answer]) -> bool:
    return all(answer.missing == () for answer in answers)


@pytest.mark.parametrize("fault", FAILURES)
def test_a_node_that_spoils_its_answers_is_replaced(
    fault: str, engine: Engine, placed: Catalogue, between: list[Proxy]
) -> None:
    for proxy in between:
        before = proxy.requests
        proxy.fault = FAILURES[fault]
        try:
            assert complete(answers(engine, placed, rounds=1))
        finally:
            proxy.fault = None
        assert proxy.requests > before


@pytest.mark.parametrize(
    ("fault", "which"), [("is silent", 0), ("is silent", 1), ("is silent", 2), ("stalls", 1), ("trickles", 2)]
)
def test_a_node_that_hangs_is_not_waited_for(fault: str, which: int, placed: Catalogue, between: list[Proxy]) -> None:
    """From the first query on, and when it has answered many."""
    with fresh_engine() as engine:
        for asked_before in (False, True):
            between[which].fault = HANGS[fault]
            try:
                assert complete(answers(engine, placed))
            finally:
                between[which].fault = None
            if not asked_before:
                eventually(lambda: _asks(engine, placed, which), message="the node is not asked again")


def _asks(engine: Engine, catalogue: Catalogue, which: int) -> bool:
    """Whether a node is asked for an answer that is complete."""
    [answer] = answers(engine, catalogue, ["star"], rounds=1)
    return any(step.what == "ask" and step.source == catalogue.sources[which].id for step in answer.steps)


@pytest.mark.parametrize("which", range(3))
def test_a_frozen_node_is_not_waited_for(which: int, placed: Catalogue, processes: list[SandboxNode]) -> None:
    direct = placed.read_at([node.url for node in processes])
    processes[which].process.send_signal(signal.SIGSTOP)
    try:
        with fresh_engine() as engine:
            assert complete(answers(engine, direct))
    finally:
        processes[which].process.send_signal(signal.SIGCONT)


def test_a_node_that_takes_requests_and_does_not_answer_is_not_waited_for(
    placed: Catalogue, processes: list[SandboxNode]
) -> None:
    direct = placed.read_at([node.url for node in processes])
    for node in processes:
        faults = node.url.removesuffix("/catalogue") + "/faults"
        requests.put(faults, json={"hang": True, "paths": ["/catalogue"]}, timeout=120).raise_for_status()
        try:
            with fresh_engine() as engine:
                assert complete(answers(engine, direct))
        finally:
            requests.put(faults, json={}, timeout=120).raise_for_status()


@pytest.mark.parametrize("which", range(3))
def test_a_node_that_nothing_listens_for_is_replaced(which: int, placed: Catalogue, between: list[Proxy]) -> None:
    urls = [proxy.url for proxy in between]
    urls[which] = f"http://127.0.0.1:{free_port()}/catalogue"
    with fresh_engine() as engine:
        assert complete(answers(engine, placed.read_at(urls)))


def test_a_killed_node_is_replaced() -> None:
    with sandbox_processes(3) as nodes, fresh_engine() as engine:
        catalogue = Catalogue([node.url for node in nodes], PLACED)
        assert complete(answers(engine, catalogue, rounds=1))
        nodes[1].process.kill()
        nodes[1].process.wait()
        assert complete(answers(engine, catalogue))


@pytest.mark.fuseki
def test_a_frozen_fuseki_is_not_waited_for(fusekis: list[Fuseki]) -> None:
    catalogue = Catalogue([server.url for server in fusekis], PLACED)
    for server in fusekis:
        server.pause()
        try:
            with fresh_engine() as engine:
                assert complete(answers(engine, catalogue))
        finally:
            server.resume()


def test_a_node_that_trickles_alone_is_given_up_at_its_timeout(
    processes: list[SandboxNode], between: list[Proxy]
) -> None:
    catalogue = Catalogue([proxy.url for proxy in between], OWN, writing_to=[node.url for node in processes])
    engine = Engine(source_timeout=2, timeout=60, workers=1)
    between[2].fault = HANGS["trickles"]
    try:
        answer = engine.query_with_failover(PROLOGUE + QUERIES["all triples"], catalogue.snapshot, fresh=True)
        assert "node2" in answer.missing
    finally:
        between[2].fault = None
        engine.close()


@pytest.mark.parametrize("fault", ["is silent", "stalls", "answers 500", "breaks off in the middle"])
def test_what_only_the_failed_node_has_is_told_to_be_missing(
    fault: str, processes: list[SandboxNode], between: list[Proxy]
) -> None:
    catalogue = Catalogue([proxy.url for proxy in between], OWN, writing_to=[node.url for node in processes])
    everywhere = ["all triples", "blank nodes of providers"]
    with fresh_engine() as engine:
        answers(engine, catalogue, everywhere, rounds=3)
        eventually(lambda: complete(answers(engine, catalogue, everywhere)))
        between[2].fault = FAILURES.get(fault) or HANGS[fault]
        try:
            assert {answer.missing for answer in answers(engine, catalogue, everywhere)} == {("node2",)}
            assert complete(answers(engine, catalogue, ["GRAPH with IRI"]))
        finally:
            between[2].fault = None
        eventually(lambda: complete(answers(engine, catalogue, everywhere)), message="the node is not asked again")
