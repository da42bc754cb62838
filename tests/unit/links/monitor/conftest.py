"""A monitor in a thread, its list of nodes, its clock, and an address where no node is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from links import monitor
from tests.helpers.environment import Environment
from tests.helpers.monitor import Clock, Watching
from tests.helpers.odd_server import closed_port


@pytest.fixture
def started(environment: Environment) -> Iterator[Callable[..., Watching]]:
    """Give a function that starts monitors, which are stopped in the end."""
    # No check of a slow machine runs out of time, and no node is down before a test says so.
    environment(NODE_HEALTH_CHECK_INTERVAL="0.05", NODE_TIMEOUT="60", NODE_GRACE_PERIOD="600")
    running: list[Watching] = []

    def start(*arguments: Any, **more: Any) -> Watching:
        running.append(Watching(*arguments, **more))
        return running[-1]

    yield start
    for watching in running:
        watching.link.finish()


@pytest.fixture
def write_list(environment: Environment, tmp_path: Path) -> Callable[..., None]:
    """Give a function that writes the list of nodes, whose addresses it is given by their ids."""
    file = tmp_path / "nodes.json"
    written = 0

    def write(**urls: str) -> None:
        nonlocal written
        written += 1
        file.write_text(json.dumps({name: {"catalogue_url": url, "id": name} for name, url in urls.items()}))
        os.utime(file, ns=(written, written))

    environment(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(file))
    return write


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(monitor, "time", clock)
    return clock


@pytest.fixture
def nowhere() -> str:
    """Give the address of a node that is not there."""
    return f"http://127.0.0.1:{closed_port()}/catalogue"
