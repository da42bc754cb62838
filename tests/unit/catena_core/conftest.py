"""Fixtures of the tests of the library."""

import pytest

from tests.helpers.running import Running


@pytest.fixture
def run():
    """Run links in threads, and stop them at the end of the test."""
    running = Running()
    yield running
    running.close()
