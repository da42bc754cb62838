"""Terms of plans."""

from __future__ import annotations

import pytest

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
