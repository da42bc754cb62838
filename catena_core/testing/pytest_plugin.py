"""Fixtures for tests of links on a broker; pytest finds them by itself once Catena is installed.

``catena_broker`` is the embedded broker, or, with ``--catena-kafka HOST:PORT``, Apache Kafka: one suite runs on both.
``run_link`` runs links on it::

    def test_lines_become_loud(catena_broker, run_link):
        lines, loud = catena_broker.topic("lines"), catena_broker.topic("loud")
        run_link(Shout(input_topics=lines, output_topics=loud))
        catena_broker.produce(lines, [("k", "hey")])
        assert [electron.value for electron in catena_broker.consume(loud, 1)] == ["HEY"]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from catena_core.testing.broker import RunLink, TestBroker

# The library is imported only by the fixtures: pytest loads this file in every project of an environment.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names a broker."""
    parser.getgroup("catena").addoption(
        "--catena-kafka",
        metavar="HOST:PORT",
        default=os.environ.get("CATENA_TEST_KAFKA") or None,
        help="Run tests of links on this Kafka, not on the embedded broker.  [env var: CATENA_TEST_KAFKA]",
    )


@pytest.fixture(scope="session")
def catena_broker(pytestconfig: pytest.Config) -> Iterator[TestBroker]:
    """Give a broker for links: the embedded one, or the one that ``--catena-kafka`` names."""
    from catena_core.testing.broker import open_broker

    with open_broker(pytestconfig.getoption("--catena-kafka")) as broker:
        yield broker


@pytest.fixture
def run_link(catena_broker: TestBroker) -> Iterator[RunLink]:
    """Run links on ``catena_broker``, and stop them at the end of the test; a link that failed fails the test."""
    from catena_core.testing.broker import RunLink

    running = RunLink(catena_broker)
    yield running
    running.close()
