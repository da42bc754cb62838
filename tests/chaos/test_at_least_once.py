"""Delivery at least once, on Apache Kafka, through faults: nothing is lost, and each key keeps its order."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Outcome
from tests.chaos.fleet import Fleet

pytestmark = pytest.mark.kafka


def check(fleet: Fleet) -> None:
    assert not fleet.missing, f"lost: {sorted(fleet.missing)[:20]}\n{fleet.story_of(fleet.missing)}"
    assert not fleet.out_of_order(), fleet.out_of_order()
    assert not fleet.uncommitted(), fleet.uncommitted()
    assert not fleet.ended, f"processes that ended by themselves: {fleet.ended}\n{fleet.last_words()}"


def test_nothing_is_lost_though_a_process_is_killed_every_second(outcome: Outcome) -> None:
    fleet = outcome("kill", "at_least_once")
    check(fleet)
    assert fleet.faults >= 15


def test_nothing_is_lost_though_processes_freeze_lose_their_partitions_and_wake(outcome: Outcome) -> None:
    fleet = outcome("freeze", "at_least_once")
    check(fleet)
    assert fleet.faults >= 4


def test_nothing_is_lost_though_the_broker_is_killed_and_comes_back(outcome: Outcome) -> None:
    check(outcome("broker", "at_least_once"))
