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
    delivery.attach(coordinator, unused)
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


def test_an_offset_of_a_topic_that_is_gone_is_not_committed_for_the_one_made_again():
    arrived = SimpleNamespace(done=SimpleNamespace(wait=lambda seconds: True), error=None)
    on_its_way = SimpleNamespace(done=SimpleNamespace(wait=lambda seconds: False), error=None)
    producer: Any = SimpleNamespace(send=None, send_plain=None, arrival=lambda: on_its_way)
    unused: Any = None
    coordinator: Any = Coordinator()
    delivery = AtLeastOnce(producer, unused, unused, LinkLogger("test"), Metrics(), interval=0)
    delivery.attach(coordinator, unused)
    assignment = Assignment(("topic", 0), replaying=False)
    assignment.tracker.dispatched([0, 1, 2])
    assignment.tracker.finished([0, 1, 2])
    delivery.maybe_commit([assignment])
    assignment.begin_again("new")
    on_its_way.done = arrived.done
    delivery.maybe_commit([assignment])
    assert coordinator.taken == []
    assert assignment.committed == -1
