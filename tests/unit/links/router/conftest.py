"""A router whose loops do not run by themselves, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from links import router as router_module
from links.router import Router
from tests.helpers.router import Clock, Routing


@pytest.fixture(autouse=True)
def _no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Router, "loop", lambda *_, **__: None)


@pytest.fixture
def routing() -> Routing:
    routing = Routing()
    routing.assign()
    return routing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(router_module, "time", clock)
    yield clock
