"""Which IRIs all servers read as they are written."""

from __future__ import annotations

import pytest

from federation.analysis.canonical_literals import is_read_as_written


@pytest.mark.parametrize(
    "term",
    ["http://a.example/b/../c", "<http://a.example/./c>", "<http://a.example/b/..>", "http://a.example/.?q", "a:../b"],
)
def test_iris_with_dot_segments_may_be_resolved(term: str) -> None:
    assert not is_read_as_written(term)


@pytest.mark.parametrize(
    "term",
    ["http://a.example/b.c", "<http://a.example/.../c>", "<urn:a:b..c>", "<https://a.example/.well-known/x>", '"/../"'],
)
def test_all_others_stay_as_they_are(term: str) -> None:
    assert is_read_as_written(term)
