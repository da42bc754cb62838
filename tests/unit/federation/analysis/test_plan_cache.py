"""Each query is analysed once, and so are all that differ in their words and addresses only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from federation.analysis import plan_cache
from federation.analysis.analyse import analyse
from federation.analysis.plan import Plan
from federation.analysis.plan_cache import PlanCache
from federation.budget import Budget, Limits
from federation.errors import QuerySyntaxError, TooLargeError

QUERY = 'SELECT ?s { ?s <urn:p> ?o FILTER(CONTAINS(?o, "WORD")) }'


class Workers:
    """Workers that analyse at once, and remember the texts."""

    def __init__(self) -> None:
        self.analysed: list[str] = []

    def analyse(self, text: str, budget: Any) -> Plan:
        self.analysed.append(text)
        return analyse(text)


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def plan(workers: Workers) -> Callable[[str], Plan]:
    cache: Any = PlanCache(workers)  # type: ignore[arg-type]
    return lambda text: cache.plan(text, Budget(60, Limits()))


def test_plan_of_a_query_is_analysed_once(workers: Workers, plan: Callable[[str], Plan]) -> None:
    assert plan(QUERY) is plan(QUERY)
    assert len(workers.analysed) == 1


def test_plan_of_another_word_needs_no_analysis_and_has_that_word(
    workers: Workers, plan: Callable[[str], Plan]
) -> None:
    for word in ("WORD", "other", "third"):
        assert plan(QUERY.replace("WORD", word)) == analyse(QUERY.replace("WORD", word))
    assert len(workers.analysed) == 1


def test_a_query_that_is_too_long_to_keep_is_analysed_as_it_is(
    workers: Workers, plan: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_cache, "_MAX_CACHED_TEXT", len(QUERY) - 1)
    assert plan(QUERY) == plan(QUERY) == analyse(QUERY)
    assert workers.analysed == [QUERY, QUERY]


def test_plan_of_another_pattern_is_another(workers: Workers, plan: Callable[[str], Plan]) -> None:
    assert plan(QUERY) != plan(QUERY.replace("?s <urn:p>", "?o <urn:p>"))
    assert len(workers.analysed) == 2


def test_plan_that_was_not_asked_for_lately_is_forgotten(
    workers: Workers, plan: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_cache, "_MAX_PLANS", 2)
    for number in (1, 2, 1, 3, 1):
        plan(f"ASK {{ ?s ?p {number} }}")
    assert len(workers.analysed) == 3
    plan("ASK { ?s ?p 2 }")
    assert len(workers.analysed) == 4


def test_plan_of_a_long_query_is_not_stored(
    workers: Workers, plan: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_cache, "_MAX_CACHED_TEXT", 10)
    plan("ASK { ?s ?p 1 }")
    plan("ASK { ?s ?p 1 }")
    assert len(workers.analysed) == 2


def test_plan_of_a_query_beyond_a_mebibyte_is_refused_unread(workers: Workers, plan: Callable[[str], Plan]) -> None:
    with pytest.raises(TooLargeError, match="characters"):
        plan("ASK {}" + " " * 2**20)
    assert workers.analysed == []


def test_plan_of_a_wrong_query_fails_with_the_place_in_the_query_as_sent(plan: Callable[[str], Plan]) -> None:
    text = 'ASK { ?s ?p "a long word, longer than any placeholder" ?o }'
    with pytest.raises(QuerySyntaxError) as caught:
        plan(text)
    assert (caught.value.line, caught.value.column) == (1, text.index("?o") + 1)
