"""What each kind of delivery promises, on Apache Kafka, through faults that both go through side by side."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import FREEZES, KILLS, Outcome
from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.kafka


def check(fleet: Fleet) -> None:
    """Nothing is lost, each key keeps its order, and all is committed."""
    assert not fleet.missing, f"lost: {sorted(fleet.missing)[:20]}\n{fleet.story_of(fleet.missing)}"
    assert not fleet.out_of_order(), fleet.out_of_order()
    assert not fleet.uncommitted(), fleet.uncommitted()


class TestAtLeastOnce:
    """Nothing is lost, and no process ends by itself."""

    def check(self, fleet: Fleet) -> None:
        check(fleet)
        assert not fleet.ended, f"processes that ended by themselves: {fleet.ended}\n{fleet.last_words()}"

    def test_nothing_is_lost_though_a_process_is_killed_again_and_again(self, outcome: Outcome) -> None:
        fleet = outcome("kill", "at_least_once")
        self.check(fleet)
        assert fleet.faults == KILLS

    def test_nothing_is_lost_though_processes_freeze_lose_their_partitions_and_wake(self, outcome: Outcome) -> None:
        fleet = outcome("freeze", "at_least_once")
        self.check(fleet)
        assert fleet.faults == FREEZES

    def test_nothing_is_lost_though_the_broker_is_killed_and_comes_back(self, outcome: Outcome) -> None:
        self.check(outcome("broker", "at_least_once"))

    def test_a_link_ends_though_kafka_does_not_answer_and_others_do_again_what_was_under_way(
        self, outcome: Outcome
    ) -> None:
        self.check(outcome("hang", "at_least_once"))


class TestExactlyOnce:
    """Nothing is lost, and nothing comes twice; on a busy machine a transaction may run out, which ends its process."""

    def check(self, fleet: Fleet) -> None:
        check(fleet)
        doubled = fleet.doubled
        assert not doubled, f"more than once, by process: {list(doubled.items())[:20]}\n{fleet.story_of(set(doubled))}"
        assert set(fleet.ended) <= {1}, fleet.last_words()

    def test_each_electron_counts_once_though_a_process_is_killed_again_and_again(self, outcome: Outcome) -> None:
        fleet = outcome("kill", "exactly_once")
        self.check(fleet)
        assert fleet.faults == KILLS

    def test_a_process_that_freezes_loses_its_partitions_and_wakes_cannot_commit(self, outcome: Outcome) -> None:
        """One that slept beyond the end of its transaction is fenced for good: it ends, and is started again."""
        fleet = outcome("freeze", "exactly_once")
        self.check(fleet)
        assert fleet.faults == FREEZES

    def test_each_electron_counts_once_though_the_broker_is_killed_and_comes_back(self, outcome: Outcome) -> None:
        self.check(outcome("broker", "exactly_once"))

    def test_a_link_ends_though_kafka_does_not_answer_and_what_was_under_way_counts_once(
        self, outcome: Outcome
    ) -> None:
        self.check(outcome("hang", "exactly_once"))
