"""What each kind of delivery promises, on Apache Kafka, through faults that both go through side by side."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.chaos.conftest import DELIVERIES, Outcome
from tests.helpers.fleet import Fleet
from tests.servers import kafka_server

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

    def test_nothing_is_lost_though_a_process_is_killed_every_second(self, outcome: Outcome) -> None:
        fleet = outcome("kill", "at_least_once")
        self.check(fleet)
        assert fleet.faults >= 15

    def test_nothing_is_lost_though_processes_freeze_lose_their_partitions_and_wake(self, outcome: Outcome) -> None:
        fleet = outcome("freeze", "at_least_once")
        self.check(fleet)
        assert fleet.faults >= 4

    def test_nothing_is_lost_though_the_broker_is_killed_and_comes_back(self, outcome: Outcome) -> None:
        self.check(outcome("broker", "at_least_once"))


class TestExactlyOnce:
    """Nothing is lost, and nothing comes twice; on a busy machine a transaction may run out, which ends its process."""

    def check(self, fleet: Fleet) -> None:
        check(fleet)
        doubled = fleet.doubled
        assert not doubled, f"more than once, by process: {list(doubled.items())[:20]}\n{fleet.story_of(set(doubled))}"
        assert set(fleet.ended) <= {1}, fleet.last_words()

    def test_each_electron_counts_once_though_a_process_is_killed_every_second(self, outcome: Outcome) -> None:
        fleet = outcome("kill", "exactly_once")
        self.check(fleet)
        assert fleet.faults >= 15

    def test_a_process_that_freezes_loses_its_partitions_and_wakes_cannot_commit(self, outcome: Outcome) -> None:
        """One that slept beyond the end of its transaction is fenced for good: it ends, and is started again."""
        fleet = outcome("freeze", "exactly_once")
        self.check(fleet)
        assert fleet.faults >= 4

    def test_each_electron_counts_once_though_the_broker_is_killed_and_comes_back(self, outcome: Outcome) -> None:
        self.check(outcome("broker", "exactly_once"))


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_link_ends_soon_though_kafka_does_not_answer_and_what_was_under_way_is_delivered_again(
    tmp_path: Path, delivery: str
) -> None:
    with kafka_server(own=True) as kafka:
        fleet = Fleet(kafka.bootstrap, delivery, tmp_path, 0.005, 2000, 0)
        try:
            fleet.feed(2000)
            fleet.start(1)
            fleet.progress(0)
            kafka.pause()
            fleet.read(2)
            (process,) = fleet.running
            process.terminate()
            try:
                assert process.wait(30) == 0, fleet.last_words()
            except subprocess.TimeoutExpired:
                pytest.fail(f"it does not end\n{fleet.last_words()}")
            kafka.resume()
            fleet.finish(60)
            check(fleet)
            assert delivery == "at_least_once" or not fleet.doubled
        finally:
            kafka.resume()
            fleet.close()
