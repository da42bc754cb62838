"""A server that answers as a test says, and a session with the bounded transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.transport import Session
from tests.helpers.odd_server import OddServer, odd_server
from tests.helpers.transport import LIMIT


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(max_bytes=LIMIT) as session:
        yield session
