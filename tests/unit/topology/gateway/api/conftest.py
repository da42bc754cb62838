"""A gateway that knows two nodes, and one that knows many offerings."""

from __future__ import annotations

import pytest

from federation.engine import Engine
from tests.helpers.gateway import Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox


@pytest.fixture
def serving(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Serving:
    """Give a gateway over two nodes, with one offering on both of them, and a third that is down with another."""
    serving = Serving.over(engine, nodes)
    serving.has("c", "http://c.invalid/catalogue", "down")
    serving.note("c", described("https://p.example/2"))
    serving.list("0xb", described("https://p.example/2"))
    return serving


@pytest.fixture
def many(engine: Engine) -> Serving:
    """Give a gateway of 25 offerings that stand nowhere."""
    serving = Serving(engine)
    for number in range(25):
        serving.list(f"0x{number:02}", described(f"https://p.example/{number:02}"))
    return serving
