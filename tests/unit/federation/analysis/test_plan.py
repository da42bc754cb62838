"""Plans: the terms that all servers read alike, and samples that are all that a query can match."""

from __future__ import annotations

import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import is_portable


@pytest.mark.parametrize(
    "term",
    ["http://a.example/b/../c", "<http://a.example/./c>", "<http://a.example/b/..>", "http://a.example/.?q", "a:../b"],
)
def test_iris_with_dot_segments_may_be_resolved(term: str) -> None:
    assert not is_portable(term)


@pytest.mark.parametrize(
    "term",
    ["http://a.example/b.c", "<http://a.example/.../c>", "<urn:a:b..c>", "<https://a.example/.well-known/x>", '"/../"'],
)
def test_all_others_stay_as_they_are(term: str) -> None:
    assert is_portable(term)


def test_path_from_a_variable_to_itself_is_more_than_its_steps() -> None:
    assert analyse("SELECT * { ?x <urn:p>+ ?y } LIMIT 2").is_sampled_whole
    assert not analyse("SELECT * { ?x <urn:p>+ ?x } LIMIT 2").is_sampled_whole
