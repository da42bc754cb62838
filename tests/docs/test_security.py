"""Each promise of docs/security.md names a test that exists."""

from __future__ import annotations

import re

import pytest

from tests.helpers.documents import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
NAMED = sorted(set(re.findall(r"`(test_\w+)`", TEXT)))


def test_promises_name_tests() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize("name", NAMED)
def test_promise_names_a_test_that_exists(name: str) -> None:
    assert f"def {name}(" in TESTS


def test_the_policy_points_to_it() -> None:
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text()
    assert "docs/security.md" in (ROOT / "README.md").read_text()
