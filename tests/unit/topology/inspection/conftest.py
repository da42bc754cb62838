"""An inspection, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.inspection import Clock, Inspecting
from topology import inspection


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inspection, "time", clock)
    return clock


@pytest.fixture
def inspecting() -> Iterator[Inspecting]:
    one = Inspecting()
    yield one
    one.inspector.close()
