"""The filling of the quad cache, and its updates."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import Dataset, Plan
from federation.budget import Budget, Limits, MemoryPool
from federation.caching.quad_cache import QuadCache
from federation.caching.refresh import Refresher
from federation.errors import SourceFailedError, TooLargeError
from federation.execution import Backend, QueryExecution
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.semi_join import WidePatterns
from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source
from tests.helpers.waiting import eventually

A = Source("a", "http://a/")
TITLES = analyse("SELECT * { ?s <urn:title> ?o }")
KINDS = analyse("SELECT * { ?s a ?o }")
NAMES = analyse("SELECT * { GRAPH ?g {} }")
_PREDICATE = re.compile(r"VALUES \?p \{ (.*?) \}")


class Catalogue:
    """A node, what it holds, and what was fetched of it.

    Attributes:
        fingerprints: The graphs, of one quad each, and how often each has changed.
        fetched: The predicates and graphs of each request; ``None``: all graphs.
        error: What requests end with.
        allowed: Set while fetches in the background may begin.
        later_works: How many of these have begun.
    """

    def __init__(self) -> None:
        self.fingerprints = {"urn:g": 1, "urn:h": 1}
        self.fetched: list[tuple[frozenset[str], frozenset[str] | None]] = []
        self.error: Exception | None = None
        self.allowed = threading.Event()
        self.allowed.set()
        self.later_works = 0

    def snapshot(self) -> Snapshot:
        fingerprints = dict(self.fingerprints)
        return Snapshot(
            (A,),
            dict.fromkeys(fingerprints, "a"),
            version=repr(sorted(fingerprints.items())),
            fingerprints=fingerprints,
            untracked=frozenset(),
        )

    def ask(self, source: Source, request: Subquery, budget: Budget) -> bytes:
        predicates = _PREDICATE.search(request.text)
        assert predicates
        self.fetched.append((frozenset(predicates[1].split()), request.graphs))
        if self.error:
            raise self.error
        graphs = {
            graph: mark
            for graph, mark in self.fingerprints.items()
            if request.graphs is None or graph in request.graphs
        }
        return "".join(f"<urn:s>\t<urn:p>\t{mark}\t<{graph}>\n" for graph, mark in graphs.items()).encode()

    def patience(self, node: str) -> float:
        return 30

    def suspects(self, nodes: object) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def backend(catalogue: Catalogue) -> Iterator[Backend]:
    with ThreadPoolExecutor(4) as threads:
        yield Backend(cast("Any", catalogue), threads, cast("Any", None), WidePatterns(), "urn:skolem:")


@pytest.fixture
def quad_cache() -> QuadCache:
    return QuadCache(100, 1000)


@pytest.fixture
def refresher(quad_cache: QuadCache, backend: Backend) -> Iterator[Refresher]:
    refresher = Refresher(quad_cache, backend, 30, MemoryPool(10**9))
    yield refresher
    refresher.close()


def serves(refresher: Refresher, catalogue: Catalogue, plan: Plan = TITLES, snapshot: Snapshot | None = None) -> bool:
    backend, seen = refresher._backend, snapshot or catalogue.snapshot()

    def in_the_background(avoided: frozenset[str]) -> Snapshot:
        if not avoided and not started:
            assert catalogue.allowed.wait(30)
            catalogue.later_works += 1
            started.append(True)
        return Snapshot(()) if avoided else catalogue.snapshot()

    started: list[bool] = []
    budget = Budget(30, Limits())
    requests = HedgedRequests(
        backend.endpoints, backend.threads, budget, lambda avoided: Snapshot(()) if avoided else seen
    )
    while True:
        with requests.failover() as selected:
            execution = QueryExecution(backend, plan, Dataset(None, None), selected, budget, requests)
            found = refresher.serves(plan, execution, in_the_background)
            if not isinstance(found, Reselected):
                return found


def is_kept(refresher: Refresher, catalogue: Catalogue, plan: Plan = TITLES) -> None:
    eventually(lambda: serves(refresher, catalogue, plan))


def test_what_is_asked_for_once_is_not_kept(refresher: Refresher, catalogue: Catalogue) -> None:
    assert not serves(refresher, catalogue)
    assert not serves(refresher, catalogue, KINDS)
    assert catalogue.fetched == [] and catalogue.later_works == 0


def test_what_is_asked_for_twice_is_pulled_behind_the_queries_backs(refresher: Refresher, catalogue: Catalogue) -> None:
    catalogue.allowed.clear()
    assert not serves(refresher, catalogue) and not serves(refresher, catalogue) and not serves(refresher, catalogue)
    assert catalogue.fetched == []
    catalogue.allowed.set()
    is_kept(refresher, catalogue)
    assert [graphs for _, graphs in catalogue.fetched] == [None]


def test_new_patterns_are_pulled_together_with_those_that_are_kept(refresher: Refresher, catalogue: Catalogue) -> None:
    is_kept(refresher, catalogue)
    is_kept(refresher, catalogue, KINDS)
    patterns = [patterns for patterns, _ in catalogue.fetched]
    assert len(patterns) == 2 and patterns[0] < patterns[1]
    assert serves(refresher, catalogue)


def test_only_what_has_changed_is_pulled_anew(
    refresher: Refresher, catalogue: Catalogue, quad_cache: QuadCache
) -> None:
    is_kept(refresher, catalogue)
    catalogue.fingerprints = {"urn:g": 2, "urn:h": 1}
    assert serves(refresher, catalogue)
    assert [graphs for _, graphs in catalogue.fetched] == [None, {"urn:g"}]
    assert quad_cache.count == 2


def test_graphs_that_have_gone_cost_no_pull_of_others(
    refresher: Refresher, catalogue: Catalogue, quad_cache: QuadCache
) -> None:
    is_kept(refresher, catalogue)
    catalogue.fingerprints = {"urn:g": 1}
    assert serves(refresher, catalogue)
    assert catalogue.fetched[1:] == []
    assert quad_cache.count == 1


def test_when_much_has_changed_the_query_goes_on_without(refresher: Refresher, catalogue: Catalogue) -> None:
    is_kept(refresher, catalogue)
    catalogue.allowed.clear()
    catalogue.fingerprints = {f"urn:{n}": 1 for n in range(51)}
    assert not serves(refresher, catalogue)
    catalogue.allowed.set()
    is_kept(refresher, catalogue)


def test_while_another_query_brings_it_up_to_date_the_query_goes_on_without(
    refresher: Refresher, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_kept(refresher, catalogue)
    catalogue.fingerprints = {"urn:g": 2}
    pulling, go_on = threading.Event(), threading.Event()
    ask = catalogue.ask

    def slow_ask(source: Source, request: Subquery, budget: Budget) -> bytes:
        pulling.set()
        assert go_on.wait(30)
        return ask(source, request, budget)

    monkeypatch.setattr(catalogue, "ask", slow_ask)
    other = threading.Thread(target=serves, args=(refresher, catalogue))
    other.start()
    try:
        assert pulling.wait(30)
        assert not serves(refresher, catalogue)
    finally:
        go_on.set()
        other.join()
    is_kept(refresher, catalogue)


@pytest.mark.parametrize(
    "snapshot",
    [
        Snapshot((A,), untracked=frozenset()),
        Snapshot((A,), version="1", untracked=None),
        Snapshot((A,), version="1", untracked=frozenset(), unavailable=("b",)),
        Snapshot((), version="1", untracked=frozenset()),
    ],
    ids=["no version", "nodes are not listed", "a node is missing", "no nodes"],
)
def test_a_catalogue_that_is_not_known_whole_is_not_answered_from_it(
    refresher: Refresher, catalogue: Catalogue, snapshot: Snapshot
) -> None:
    is_kept(refresher, catalogue)
    assert not serves(refresher, catalogue, snapshot=snapshot)


def test_names_of_graphs_need_no_triples(refresher: Refresher, catalogue: Catalogue) -> None:
    assert serves(refresher, catalogue, NAMES)


def test_what_does_not_fit_is_not_tried_again(catalogue: Catalogue, backend: Backend) -> None:
    refresher = Refresher(QuadCache(1, 1000), backend, 30, MemoryPool(10**9))
    try:
        serves(refresher, catalogue)
        serves(refresher, catalogue)
        eventually(lambda: catalogue.later_works == 1 and not refresher._under_way)
        assert not serves(refresher, catalogue) and not serves(refresher, catalogue)
        assert catalogue.later_works == 1
    finally:
        refresher.close()


@pytest.mark.parametrize("error", [TooLargeError("too large"), SourceFailedError("down", ["a"])])
def test_a_pull_that_fails_leaves_what_is_kept(refresher: Refresher, catalogue: Catalogue, error: Exception) -> None:
    is_kept(refresher, catalogue)
    catalogue.error = error
    serves(refresher, catalogue, KINDS)
    serves(refresher, catalogue, KINDS)
    eventually(lambda: len(catalogue.fetched) == 2 and not refresher._under_way)
    assert serves(refresher, catalogue)
    assert not serves(refresher, catalogue, KINDS)


def test_a_failure_while_it_is_brought_up_to_date_is_the_query_s_and_blocks_nobody(
    refresher: Refresher, catalogue: Catalogue
) -> None:
    is_kept(refresher, catalogue)
    catalogue.fingerprints = {"urn:g": 2}
    catalogue.error = SourceFailedError("down", ["a"])
    with pytest.raises(SourceFailedError):
        serves(refresher, catalogue)
    catalogue.error = None
    assert serves(refresher, catalogue)


def test_changes_that_are_too_large_are_met_by_one_query_only(refresher: Refresher, catalogue: Catalogue) -> None:
    is_kept(refresher, catalogue)
    catalogue.fingerprints = {"urn:g": 2}
    catalogue.error = TooLargeError("too large")
    with pytest.raises(TooLargeError):
        serves(refresher, catalogue)
    assert not serves(refresher, catalogue) and not serves(refresher, catalogue)
    assert len(catalogue.fetched) == 2


def test_what_an_evaluator_cannot_hold_is_given_up(
    refresher: Refresher, catalogue: Catalogue, quad_cache: QuadCache
) -> None:
    is_kept(refresher, catalogue)
    refresher.give_up()
    assert quad_cache.count == 0
    assert not serves(refresher, catalogue) and not serves(refresher, catalogue)
    assert catalogue.later_works == 1


def test_after_the_end_nothing_begins(refresher: Refresher, catalogue: Catalogue) -> None:
    serves(refresher, catalogue)
    refresher.close()
    assert not serves(refresher, catalogue)
    assert catalogue.fetched == []
