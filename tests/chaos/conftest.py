"""What happens to the processes of a link while they work; each fault once, for both kinds of delivery side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.fleet import SESSION, TRANSACTION, Fleet
from tests.servers import Kafka, kafka_server

# How many come between two faults, so that none strikes a fleet that has nothing to do, and how many faults strike.
PORTION = 300
KILLS, FREEZES = 10, 4
ELECTRONS = PORTION * (KILLS + 2)
DELIVERIES = ("at_least_once", "exactly_once")
SEED = 7

# Seconds that a copy takes, so that there is time for a fault.
_DURATION = 0.005
# Seconds: reached only where something is broken.
_PATIENCE = 300

Outcome = Callable[[str, str], Fleet]


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Return a function that gives, for a fault and a delivery, the fleet that went through it."""
    with kafka_server(own=True) as kafka:
        suffered: dict[str, dict[str, Fleet | BaseException]] = {}
        looked: set[tuple[str, str]] = set()

        def look(fault: str, delivery: str) -> Fleet:
            # Who looks a second time failed at first, and is to see another run.
            if fault not in suffered or (fault, delivery) in looked:
                looked.difference_update({(fault, each) for each in DELIVERIES})
                suffered[fault] = _suffer(kafka, fault, tmp_path_factory.mktemp(fault))
            looked.add((fault, delivery))
            found = suffered[fault][delivery]
            if isinstance(found, BaseException):
                raise found
            print(f"{delivery}, {fault}: {found.report()}")
            return found

        yield look


class Meeting:
    """Brings the fleets together for a fault that strikes all of them."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    def do(self, action: Callable[[], object]) -> None:
        """Wait for all others, and have one of them act."""
        if self._barrier.wait(_PATIENCE) == 0:
            action()
        self._barrier.wait(_PATIENCE)

    def cancel(self) -> None:
        """Let no one wait any longer: one of them failed."""
        self._barrier.abort()


def _suffer(kafka: Kafka, fault: str, folder: Path) -> dict[str, Fleet | BaseException]:
    outcomes: dict[str, Fleet | BaseException] = {}
    meeting = Meeting(len(DELIVERIES))

    def live(delivery: str) -> None:
        try:
            fleet = Fleet(kafka.bootstrap, delivery, folder, _DURATION, ELECTRONS, SEED)
            try:
                fleet.feed(PORTION)
                fleet.start()
                _FAULTS[fault](fleet, kafka, meeting)
                fleet.feed(ELECTRONS)
                fleet.finish(_PATIENCE)
                outcomes[delivery] = fleet
            finally:
                fleet.close()
        except BaseException as error:
            outcomes[delivery] = error
            meeting.cancel()

    threads = [threading.Thread(target=live, args=(delivery,)) for delivery in DELIVERIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _kill(fleet: Fleet, _kafka: Kafka, _meeting: Meeting) -> None:
    for _ in range(KILLS):
        fleet.progress(1.0)
        fleet.feed(PORTION)
        fleet.kill_one()


def _freeze(fleet: Fleet, _kafka: Kafka, _meeting: Meeting) -> None:
    """Freeze for longer than a session, and now and then longer than a transaction lasts."""
    for number in range(FREEZES):
        fleet.progress(0.5)
        fleet.feed(PORTION)
        fleet.freeze_one(1.5 * (TRANSACTION if number == 1 else SESSION))


def _lose_the_broker(fleet: Fleet, kafka: Kafka, meeting: Meeting) -> None:
    fleet.feed(ELECTRONS)
    fleet.progress(0.0)
    meeting.do(kafka.restart)
    fleet.faults += 1


def _stop_while_the_broker_hangs(fleet: Fleet, kafka: Kafka, meeting: Meeting) -> None:
    """Stop once when all outputs have arrived and hardly any offset is committed, and once in the middle of the work."""
    for more in (0, ELECTRONS):
        fleet.join()
        fleet.feed(more)
        fleet.progress(0.0, much=1 if more else PORTION)
        meeting.do(kafka.pause)
        try:
            fleet.stop()
        finally:
            meeting.do(kafka.resume)
        fleet.faults += 1
        fleet.start()


_FAULTS = {"kill": _kill, "freeze": _freeze, "broker": _lose_the_broker, "hang": _stop_while_the_broker_hangs}
