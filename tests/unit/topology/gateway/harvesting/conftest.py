"""An engine that waits for its nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.engine import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=60, source_timeout=60, workers=1)
    yield engine
    engine.close()
