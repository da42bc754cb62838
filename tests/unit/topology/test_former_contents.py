"""Former contents tell Catena's graphs from those of nodes' owners, within bounds."""

from __future__ import annotations

import pytest

from topology import former_contents
from topology.former_contents import FormerContents


def test_former_contents_know_what_was_noted_of_that_graph_only() -> None:
    former = FormerContents()
    former.note("urn:a", "ab" * 32)
    assert former.knows("urn:a", "ab" * 32)
    assert not former.knows("urn:a", "cd" * 32)
    assert not former.knows("urn:b", "ab" * 32)


def test_former_contents_never_know_an_unknown_content() -> None:
    former = FormerContents()
    former.note("urn:a", "")
    assert not former.knows("urn:a", "")


def test_former_contents_forget_the_oldest_content_and_the_oldest_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former_contents, "_GRAPHS", 2)
    former = FormerContents()
    for number in range(20):
        former.note("urn:a", f"{number:02}" * 32)
    former.note("urn:b", "ab" * 32)
    assert former.knows("urn:a", "19" * 32)
    assert not former.knows("urn:a", "00" * 32)
    former.note("urn:c", "ab" * 32)
    assert not former.knows("urn:a", "19" * 32)
    assert former.knows("urn:c", "ab" * 32)
