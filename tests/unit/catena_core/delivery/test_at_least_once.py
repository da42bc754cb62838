"""How offsets are committed when partitions leave."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.consuming.assignment import Assignment
from catena_core.delivery.at_least_once import AtLeastOnce
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics


class Coordinator:
    """What a consumer commits to; it refuses a few times."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.taken = []

    def commit(self, offsets, asynchronous):
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop(0)))
        self.taken += [offset.offset for offset in offsets]


def settled(coordinator):
    """Settles a partition of which three electrons are finished."""
    everything_arrived = SimpleNamespace(done=SimpleNamespace(wait=lambda seconds: True), error=None)
    producer: Any = SimpleNamespace(send=None, send_plain=None, arrival=lambda: everything_arrived)
    unused: Any = None
    delivery = AtLeastOnce(producer, unused, unused, LinkLogger("test"), Metrics())
    delivery.attach(coordinator)
    assignment = Assignment(("topic", 0), replaying=False)
    assignment.tracker.dispatched([0, 1, 2])
    assignment.tracker.finished([0, 1, 2])
    delivery.flush_and_commit([assignment], time.monotonic() + 5)
    return assignment.committed


@pytest.mark.parametrize("refusal", [KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION])
def test_a_commit_that_comes_amid_a_rebalance_is_tried_again(refusal):
    coordinator = Coordinator(refusal, refusal)
    assert settled(coordinator) == 3
    assert coordinator.taken == [3]


def test_a_member_that_was_thrown_out_does_not_commit_again():
    coordinator = Coordinator(KafkaError.UNKNOWN_MEMBER_ID)
    assert settled(coordinator) == -1
    assert coordinator.taken == []
