"""Which instances count as alive."""

from __future__ import annotations

import threading

import pytest

from catena_core.rpc import instances as module
from catena_core.rpc.instances import Instances
from catena_core.rpc.messages import Alive, Gone
from tests.helpers.waiting import eventually


class Clock:
    """A clock that each of one's own messages moves on by an interval."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)  # type: ignore[attr-defined]

    def own_messages(self, known: Instances, count: int) -> None:
        for _ in range(count):
            self.now += 3.0
            known.saw(alive("me"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def known(clock: Clock) -> Instances:
    known = Instances("me", heartbeat=3.0)
    clock.own_messages(known, 1)
    return known


def alive(uid: str, group: str = "sorters", kind: str = "Sorter", since: float = 1.0) -> Alive:
    return Alive(uid, group, kind, "host", since)


def test_who_says_so_is_alive(known: Instances) -> None:
    known.saw(alive("you", "readers", "Reader"))
    assert set(known.by_uid) == {"me", "you"}
    assert known["by_uid"]["you"].kind == "Reader"
    assert known.by_group == {"sorters": ["me"], "readers": ["you"]}


def test_a_group_lists_its_oldest_first(known: Instances) -> None:
    for uid, since in (("young", 9.0), ("old", 0.5)):
        known.saw(alive(uid, since=since))
    assert known.by_group["sorters"] == ["old", "me", "young"]


def test_who_is_silent_for_more_than_three_intervals_is_forgotten(known: Instances, clock: Clock) -> None:
    known.saw(alive("you"))
    clock.own_messages(known, 3)
    assert "you" in known.by_uid
    clock.own_messages(known, 1)
    assert set(known.by_uid) == {"me"}


def test_nobody_is_forgotten_while_the_broker_is_away(known: Instances, clock: Clock) -> None:
    """Nor for the burst of one's own messages that arrives when it comes back."""
    known.saw(alive("you"))
    clock.now += 1000
    for _ in range(10):
        known.saw(alive("me"))
    assert "you" in known.by_uid


def test_who_says_farewell_is_gone_whatever_sign_of_life_comes_after(known: Instances) -> None:
    known.saw(alive("you"))
    known.ended(Gone("you", 1.0))
    known.saw(alive("you"))
    assert "you" not in known.by_uid


def test_a_farewell_does_not_end_a_later_instance_of_the_name(known: Instances) -> None:
    known.saw(alive("you", since=2.0))
    known.ended(Gone("you", 1.0))
    assert "you" in known.by_uid


@pytest.mark.parametrize(("to", "found"), [("you", ["you"]), ("readers", ["you"]), ("READER", ["you"]), ("none", [])])
def test_instances_are_found_by_uid_group_and_class(known: Instances, to: str, found: list[str]) -> None:
    known.saw(alive("you", "readers", "Reader"))
    assert known.find(to) == found


def test_waiting_ends_when_somebody_appears_or_it_is_given_up(known: Instances) -> None:
    found: list[list[str]] = []
    waiting = threading.Thread(target=lambda: found.append(known.wait_for("you", 30)))
    waiting.start()
    known.saw(alive("you"))
    waiting.join(120)
    assert found == [["you"]]
    given_up = threading.Event()
    waiting = threading.Thread(target=lambda: found.append(known.wait_for("nobody", 30, given_up.is_set)))
    waiting.start()
    given_up.set()
    known.wake()
    eventually(lambda: found == [["you"], []])
    waiting.join()
