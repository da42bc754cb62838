"""When quads are kept for later queries."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import Pattern
from federation.caching.quad_cache import Kept
from federation.caching.refresh import Keeping, Pull, Pulled, Work
from federation.errors import SourceFailed, TooLarge
from federation.fetching.merge import Rows
from federation.source_selection import Snapshot, Source
from tests.helpers.waiting import eventually

A = Source("a", "http://a/")
TITLES = analyse("SELECT * { ?s <urn:title> ?o }")
KINDS = analyse("SELECT * { ?s a ?o }")
NAMES = analyse("SELECT * { GRAPH ?g {} }")


class Catalogue:
    """What nodes hold, and what was pulled of it.

    Attributes:
        marks: The graphs, of one quad each, and how often each has changed.
        pulled: The graphs of each pull; ``None``: all.
        error: What pulling ends with.
        allowed: Set while work for later queries may go on.
    """

    def __init__(self) -> None:
        self.marks = {"urn:g": 1, "urn:h": 1}
        self.pulled: list[tuple[frozenset[Pattern], frozenset[str] | None]] = []
        self.error: Exception | None = None
        self.allowed = threading.Event()
        self.allowed.set()
        self.later_works = 0

    def snapshot(self) -> Snapshot:
        marks = dict(self.marks)
        return Snapshot(
            (A,), dict.fromkeys(marks, "a"), version=repr(sorted(marks.items())), marks=marks, unmarked=frozenset()
        )

    def pull(
        self, snapshot: Snapshot, patterns: tuple[Pattern, ...], graphs: frozenset[str] | None, number: int
    ) -> Pulled:
        self.pulled.append((frozenset(patterns), graphs))
        if self.error:
            raise self.error
        rows = Rows(lambda graph: False, lambda graph: True, "urn:skolem:", 1000)
        for graph in snapshot.marks:
            if patterns and (graphs is None or graph in graphs):
                line = f"<urn:s>\t<urn:p>\t{snapshot.marks[graph]}\t<{graph}>\n".encode()
                rows.add(A, number, line, lambda graph: True)
        return Pulled(rows, snapshot)

    def later(self, work: Work) -> None:
        assert self.allowed.wait(30)
        self.later_works += 1
        pull: Pull = self.pull
        work(self.snapshot(), pull)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def kept() -> Kept:
    return Kept(100, 1000)


@pytest.fixture
def keeping(kept: Kept) -> Iterator[Keeping]:
    keeping = Keeping(kept)
    yield keeping
    keeping.close()


def serves(keeping: Keeping, catalogue: Catalogue, plan: object = TITLES, snapshot: Snapshot | None = None) -> bool:
    return keeping.serves(plan, snapshot or catalogue.snapshot(), catalogue.pull, catalogue.later)  # type: ignore[arg-type]


def is_kept(keeping: Keeping, catalogue: Catalogue, plan: object = TITLES) -> None:
    eventually(lambda: serves(keeping, catalogue, plan))


def test_what_is_asked_for_once_is_not_kept(keeping: Keeping, catalogue: Catalogue) -> None:
    assert not serves(keeping, catalogue)
    assert not serves(keeping, catalogue, KINDS)
    assert catalogue.pulled == [] and catalogue.later_works == 0


def test_what_is_asked_for_twice_is_pulled_behind_the_queries_backs(keeping: Keeping, catalogue: Catalogue) -> None:
    catalogue.allowed.clear()
    assert not serves(keeping, catalogue) and not serves(keeping, catalogue) and not serves(keeping, catalogue)
    assert catalogue.pulled == []
    catalogue.allowed.set()
    is_kept(keeping, catalogue)
    assert [graphs for _, graphs in catalogue.pulled] == [None]


def test_new_patterns_are_pulled_together_with_those_that_are_kept(keeping: Keeping, catalogue: Catalogue) -> None:
    is_kept(keeping, catalogue)
    is_kept(keeping, catalogue, KINDS)
    patterns = [patterns for patterns, _ in catalogue.pulled]
    assert len(patterns) == 2 and patterns[0] < patterns[1]
    assert serves(keeping, catalogue)


def test_only_what_has_changed_is_pulled_anew(keeping: Keeping, catalogue: Catalogue, kept: Kept) -> None:
    is_kept(keeping, catalogue)
    catalogue.marks = {"urn:g": 2, "urn:h": 1}
    assert serves(keeping, catalogue)
    assert [graphs for _, graphs in catalogue.pulled] == [None, {"urn:g"}]
    assert kept.count == 2


def test_graphs_that_have_gone_cost_no_pull_of_others(keeping: Keeping, catalogue: Catalogue, kept: Kept) -> None:
    is_kept(keeping, catalogue)
    catalogue.marks = {"urn:g": 1}
    assert serves(keeping, catalogue)
    assert catalogue.pulled[1:] == [(frozenset(), frozenset())]
    assert kept.count == 1


def test_when_much_has_changed_the_query_goes_on_without(keeping: Keeping, catalogue: Catalogue) -> None:
    is_kept(keeping, catalogue)
    catalogue.allowed.clear()
    catalogue.marks = {f"urn:{n}": 1 for n in range(51)}
    assert not serves(keeping, catalogue)
    catalogue.allowed.set()
    is_kept(keeping, catalogue)


def test_while_another_query_brings_it_up_to_date_the_query_goes_on_without(
    keeping: Keeping, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_kept(keeping, catalogue)
    catalogue.marks = {"urn:g": 2}
    pulling, go_on = threading.Event(), threading.Event()
    pull = catalogue.pull

    def slow_pull(*arguments: object) -> Pulled:
        pulling.set()
        assert go_on.wait(30)
        return pull(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue, "pull", slow_pull)
    other = threading.Thread(target=serves, args=(keeping, catalogue))
    other.start()
    try:
        assert pulling.wait(30)
        assert not serves(keeping, catalogue)
    finally:
        go_on.set()
        other.join()
    is_kept(keeping, catalogue)


@pytest.mark.parametrize(
    "snapshot",
    [
        Snapshot((A,), unmarked=frozenset()),
        Snapshot((A,), version="1", unmarked=None),
        Snapshot((A,), version="1", unmarked=frozenset(), missing=("b",)),
        Snapshot((), version="1", unmarked=frozenset()),
    ],
    ids=["no version", "nodes are not listed", "a node is missing", "no nodes"],
)
def test_a_catalogue_that_is_not_known_whole_is_not_answered_from_it(
    keeping: Keeping, catalogue: Catalogue, snapshot: Snapshot
) -> None:
    is_kept(keeping, catalogue)
    assert not serves(keeping, catalogue, snapshot=snapshot)


def test_names_of_graphs_need_no_triples(keeping: Keeping, catalogue: Catalogue) -> None:
    assert serves(keeping, catalogue, NAMES)


def test_what_does_not_fit_is_not_tried_again(catalogue: Catalogue) -> None:
    keeping = Keeping(Kept(1, 1000))
    try:
        serves(keeping, catalogue)
        serves(keeping, catalogue)
        eventually(lambda: catalogue.later_works == 1 and not keeping._under_way)
        assert not serves(keeping, catalogue) and not serves(keeping, catalogue)
        assert catalogue.later_works == 1
    finally:
        keeping.close()


@pytest.mark.parametrize("error", [TooLarge("too large"), SourceFailed("down", ["a"])])
def test_a_pull_that_fails_leaves_what_is_kept(keeping: Keeping, catalogue: Catalogue, error: Exception) -> None:
    is_kept(keeping, catalogue)
    catalogue.error = error
    serves(keeping, catalogue, KINDS)
    serves(keeping, catalogue, KINDS)
    eventually(lambda: len(catalogue.pulled) == 2 and not keeping._under_way)
    assert serves(keeping, catalogue)
    assert not serves(keeping, catalogue, KINDS)


def test_a_failure_while_it_is_brought_up_to_date_is_the_query_s_and_blocks_nobody(
    keeping: Keeping, catalogue: Catalogue
) -> None:
    is_kept(keeping, catalogue)
    catalogue.marks = {"urn:g": 2}
    catalogue.error = SourceFailed("down", ["a"])
    with pytest.raises(SourceFailed):
        serves(keeping, catalogue)
    catalogue.error = None
    assert serves(keeping, catalogue)


def test_changes_that_are_too_large_are_met_by_one_query_only(keeping: Keeping, catalogue: Catalogue) -> None:
    is_kept(keeping, catalogue)
    catalogue.marks = {"urn:g": 2}
    catalogue.error = TooLarge("too large")
    with pytest.raises(TooLarge):
        serves(keeping, catalogue)
    assert not serves(keeping, catalogue) and not serves(keeping, catalogue)
    assert len(catalogue.pulled) == 2


def test_what_an_evaluator_cannot_hold_is_given_up(keeping: Keeping, catalogue: Catalogue, kept: Kept) -> None:
    is_kept(keeping, catalogue)
    keeping.give_up()
    assert kept.count == 0
    assert not serves(keeping, catalogue) and not serves(keeping, catalogue)
    assert catalogue.later_works == 1


def test_after_the_end_nothing_begins(keeping: Keeping, catalogue: Catalogue) -> None:
    serves(keeping, catalogue)
    keeping.close()
    assert not serves(keeping, catalogue)
    assert catalogue.pulled == []
