"""Whole answers that are kept."""

from __future__ import annotations

import itertools

import pytest

from federation.analysis.plan import Dataset
from federation.caching.result_cache import CachedResult, ResultCache, key

ANSWER = CachedResult('{"é": "\\n"}\n\n'.encode(), "A")


class Texts:
    """A store of texts."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> str | None:
        return self.texts.get(key, (None, 0))[0]

    def put(self, key: str, text: str, seconds: float) -> None:
        self.texts[key] = text, seconds


def test_an_answer_comes_back_as_it_was() -> None:
    results = ResultCache(Texts(), 30)
    results.put("k", ANSWER, 60)
    results.put("empty", CachedResult(b"", "kept"), 60)
    assert results.get("k") == ANSWER
    assert results.get("empty") == CachedResult(b"", "kept")
    assert results.get("other") is None


def test_those_who_share_a_store_share_answers() -> None:
    texts = Texts()
    ResultCache(texts, 30).put("k", ANSWER, 60)
    assert ResultCache(texts, 30).get("k") == ANSWER


def test_it_is_kept_for_the_shorter_of_two_times() -> None:
    texts = Texts()
    ResultCache(texts, 30).put("a", ANSWER, float("inf"))
    ResultCache(texts, 30).put("b", ANSWER, 5)
    assert {name: seconds for name, (_, seconds) in texts.texts.items()} == {"a": 30, "b": 5}


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0004])
def test_what_is_over_already_is_not_kept(seconds: float) -> None:
    """Redis refuses a time of less than a millisecond."""
    texts = Texts()
    ResultCache(texts, 30).put("k", ANSWER, seconds)
    assert texts.texts == {}


def test_large_answers_are_not_kept() -> None:
    texts = Texts()
    ResultCache(texts, 30).put("large", CachedResult(b"x" * (256 * 1024 + 1), "B"), 60)
    ResultCache(texts, 30).put("small", CachedResult(b"x" * 256 * 1024, "B"), 60)
    assert list(texts.texts) == ["small"]


def test_whatever_changes_the_answer_changes_the_key() -> None:
    texts = ("SELECT", "SELECT ")
    sets = (None, frozenset[str](), frozenset({"urn:a"}), frozenset({"urn:a", "urn:b"}), frozenset({"urn:a,urn:b"}))
    datasets = [Dataset(default, named, overrides=over) for default in sets for named in sets for over in (True, False)]
    all_keys = [key(*parts) for parts in itertools.product(texts, datasets, ("json", "xml"), ("1", "2"))]
    assert len(set(all_keys)) == len(all_keys) == 2 * 50 * 2 * 2


def test_the_order_of_graphs_does_not_change_the_key() -> None:
    names = [f"urn:{n}" for n in range(100)]
    one, other = (key("q", Dataset(frozenset(order), None), "json", "1") for order in (names, names[::-1]))
    assert one == other
