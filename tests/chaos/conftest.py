"""What happens to the processes of a link while they work; each fault once, for both kinds of delivery side by side."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.fleet import Fleet
from tests.servers import Kafka, kafka_server

ELECTRONS = 10_000
# How many are there before a process is killed; then as many more, so that none is killed that has nothing to do.
PORTION = 500
DELIVERIES = ("at_least_once", "exactly_once")
SEED = 7

# Seconds that a copy takes, so that there is time for many faults.
_DURATION = 0.005

Outcome = Callable[[str, str], Fleet]


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Return a function that gives, for a fault and a delivery, the fleet that went through it."""
    with kafka_server(own=True) as kafka:

        @functools.cache
        def fleets(fault: str) -> dict[str, Fleet | BaseException]:
            return _suffer(kafka, fault, tmp_path_factory.mktemp(fault))

        def look(fault: str, delivery: str) -> Fleet:
            found = fleets(fault)[delivery]
            if isinstance(found, BaseException):
                raise found
            print(f"{delivery}, {fault}: {found.report()}")
            return found

        yield look


def _suffer(kafka: Kafka, fault: str, folder: Path) -> dict[str, Fleet | BaseException]:
    outcomes: dict[str, Fleet | BaseException] = {}
    both_at_work = threading.Barrier(len(DELIVERIES) + 1)

    def live(delivery: str) -> None:
        fleet = Fleet(kafka.bootstrap, delivery, folder, _DURATION, ELECTRONS, SEED)
        try:
            fleet.feed(PORTION if fault == "kill" else ELECTRONS)
            fleet.start()
            _FAULTS[fault](fleet, both_at_work)
            fleet.finish(60)
            outcomes[delivery] = fleet
        except BaseException as error:
            outcomes[delivery] = error
            both_at_work.abort()
        finally:
            fleet.close()

    threads = [threading.Thread(target=live, args=(delivery,)) for delivery in DELIVERIES]
    for thread in threads:
        thread.start()
    if fault == "broker":
        try:
            both_at_work.wait(60)
            kafka.restart()
        finally:
            both_at_work.wait(60)
    for thread in threads:
        thread.join()
    return outcomes


def _kill(fleet: Fleet, _: threading.Barrier) -> None:
    until = time.monotonic() + 120
    fleet.progress(1.0)
    while not fleet.done and time.monotonic() < until:
        fleet.feed(PORTION)
        fleet.kill_one()
        fleet.progress(1.0)
    fleet.feed(ELECTRONS)


def _freeze(fleet: Fleet, _: threading.Barrier) -> None:
    """Freeze for longer than a session, and now and then longer than a transaction lasts."""
    until, durations = time.monotonic() + 90, random.Random(SEED)
    fleet.progress(1.0)
    while not fleet.done and time.monotonic() < until:
        fleet.freeze_one(durations.choice((1.2, 1.2, 2.5)))
        fleet.progress(0.5)


def _lose_the_broker(fleet: Fleet, both_at_work: threading.Barrier) -> None:
    fleet.progress(0.0)
    both_at_work.wait(60)
    both_at_work.wait(60)
    fleet.faults += 1


_FAULTS = {"kill": _kill, "freeze": _freeze, "broker": _lose_the_broker}
