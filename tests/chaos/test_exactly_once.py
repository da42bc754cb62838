"""Delivery exactly once, on Apache Kafka, through faults: nothing is lost, nothing comes twice, each key keeps its order."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Outcome
from tests.chaos.fleet import Fleet

pytestmark = pytest.mark.kafka


def check(fleet: Fleet) -> None:
    assert not fleet.missing, f"lost: {sorted(fleet.missing)[:20]}\n{fleet.story_of(fleet.missing)}"
    doubled = fleet.doubled
    assert not doubled, f"more than once, by process: {list(doubled.items())[:20]}\n{fleet.story_of(set(doubled))}"
    assert not fleet.out_of_order(), fleet.out_of_order()
    assert not fleet.uncommitted(), fleet.uncommitted()


def test_each_electron_counts_once_though_a_process_is_killed_every_second(outcome: Outcome) -> None:
    fleet = outcome("kill", "exactly_once")
    check(fleet)
    assert fleet.faults >= 15
    assert set(fleet.ended) <= {1}, fleet.last_words()  # on a busy machine a transaction may run out


def test_a_process_that_freezes_loses_its_partitions_and_wakes_cannot_commit(outcome: Outcome) -> None:
    """One that slept beyond the end of its transaction is fenced for good: it ends, and is started again."""
    fleet = outcome("freeze", "exactly_once")
    check(fleet)
    assert fleet.faults >= 4
    assert set(fleet.ended) <= {1}, fleet.last_words()


def test_each_electron_counts_once_though_the_broker_is_killed_and_comes_back(outcome: Outcome) -> None:
    fleet = outcome("broker", "exactly_once")
    check(fleet)
    assert set(fleet.ended) <= {1}, fleet.last_words()
