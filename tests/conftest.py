"""What all tests share: real servers, each started when a test first asks for it, and word of what was left out.

A test whose server cannot be had is skipped; where the environment has `CI` set, it fails instead.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.servers import (
    Fuseki,
    Kafka,
    MongoDB,
    Redis,
    Server,
    ServerUnavailable,
    fuseki_server,
    kafka_server,
    mongodb_server,
)
from tests.servers import redis_server as run_redis_server
from tests.servers.lending import Lender, lent_kafka

MARKER_OF_FIXTURE = {"kafka": "kafka", "redis_server": "redis", "mongodb": "mongodb", "fuseki": "fuseki"}
NEEDS = "needs "
_TESTS = Path(__file__).parent
UNIT_TESTS = _TESTS / "unit"
_LONG_TESTS_FIRST = {"chaos": -6, "docs": -5, "differential": -4, "integration": -3, "broker": -2, "fuzz": -1}

# Some environments ask Python to store no compiled modules. Each of the many processes that tests start would compile
# Catena again, for a second or so, and each worker would rewrite the assertions of all tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What a shell runs in the background ignores Ctrl-C, and so would each program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline in wall time fails on a busy machine; pytest's timeout bounds each test.
settings.register_profile("catena", deadline=None)
settings.load_profile("catena")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """Apache Kafka, one for all workers: take names from `topic_name`; to hurt one, run `kafka_server(own=True)`."""
    lent = lent_kafka()
    with Kafka(lent, engine=None) if lent else kafka_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """Redis, one for the session, running and empty when a test begins."""
    with run_redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoDB]:
    """MongoDB, one for the session, running and empty when a test begins."""
    with mongodb_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Undo what a command that ran within the test did to the level of the log: other tests read theirs."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(autouse=True)
def _fresh_stores(request: pytest.FixtureRequest) -> None:
    for name in {"redis_server", "mongodb"} & set(request.fixturenames):
        server: Redis | MongoDB = request.getfixturevalue(name)
        _revive(server)
        server.clear()


@pytest.fixture
def fuseki(_fusekis: list[Fuseki], _fuseki_stack: ExitStack) -> Iterator[Callable[[], Fuseki]]:
    """Return a function that gives another Fuseki each time a test calls it, running and empty; they may be hurt."""
    drawn: list[Fuseki] = []

    def draw() -> Fuseki:
        if _fusekis:
            server = _fusekis.pop()
            _revive(server)
            server.clear()
        else:
            server = _fuseki_stack.enter_context(fuseki_server(own=True))
        drawn.append(server)
        return server

    yield draw
    _fusekis.extend(reversed(drawn))


@pytest.fixture(scope="session")
def _fuseki_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def _fusekis(_fuseki_stack: ExitStack) -> list[Fuseki]:
    """Return the servers that no test has at the moment: at first the one that may stand in the environment."""
    return [_fuseki_stack.enter_context(fuseki_server())]


@pytest.fixture(scope="session")
def topic_name() -> Callable[..., str]:
    """Return a function that makes a name nobody has used: `topic_name("addresses")`, for topics and groups."""

    def make(prefix: str = "test") -> str:
        return f"{prefix}-{uuid.uuid4().hex[:12]}"

    return make


def _revive(server: Server) -> None:
    """Undo what an earlier test may have done to the server."""
    if server.ours:
        server.resume()
        if not server.answers():
            server.restart()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the servers that its fixtures need, so that `-m "not kafka"` leaves out the right ones.

    Coverage is measured of the unit tests only, and not of those that repeat themselves with made-up input: it slows code by
    a half, these repeat what others cover, and further tests mostly watch further processes. The folders of long tests come
    first, so that short ones fill the end.
    """
    items.sort(key=lambda item: _LONG_TESTS_FIRST.get(item.path.relative_to(_TESTS).parts[0], 0))
    for item in items:
        if UNIT_TESTS not in item.path.parents or is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("no_cover")
        for fixture, marker in MARKER_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Leave a test out when a server that its fixtures need cannot be had."""
    with _left_out_without_servers():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Leave a test out when a server that it starts itself cannot be had, or one that it would hurt is not ours."""
    with _left_out_without_servers():
        return (yield)


@contextmanager
def _left_out_without_servers() -> Iterator[None]:
    try:
        yield
        return
    except ServerUnavailable as error:
        reason = f"{NEEDS}{error}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Show on the terminal what is being fetched, since that may take a while; have what workers share at hand."""
    logger = logging.getLogger("tests.servers")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Terminal(config))
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.add_cleanup(Lender().close)


class _Terminal(logging.Handler):
    """Writes past pytest's capture of what tests print."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__()
        self._plugins = config.pluginmanager

    def emit(self, record: logging.LogRecord) -> None:
        reporter, capture = self._plugins.getplugin("terminalreporter"), self._plugins.getplugin("capturemanager")
        if capture:
            with capture.global_and_fixture_disabled():
                if reporter:
                    reporter.write_line(self.format(record))
                else:  # one of several processes, whose reporter is in the first
                    print(f"\n{self.format(record)}", file=sys.stderr, flush=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers could not be had, why, and how many tests that left out."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    left_out = {reason: count for reason, count in reasons.items() if reason.startswith(NEEDS)}
    if left_out:
        terminalreporter.section("left out")
        for reason, count in left_out.items():
            terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")
