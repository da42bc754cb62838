"""Input topics that are deleted and made again at once, longer than they were, so that no offset shows it."""

import uuid
from collections import Counter

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewTopic

from catena_core import Link
from tests.helpers.consumer_loop import committed
from tests.helpers.links import Memory, quick
from tests.helpers.topics import read_committed
from tests.helpers.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.parametrize("broker", ["apache"], indirect=True)]

either_delivery = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
OLD, NEW = 100, 150


@pytest.fixture
def source(broker):
    return broker.topic(f"in-{uuid.uuid4().hex[:6]}", partitions=1)


def make_again(broker, topic):
    """Delete a topic, make it again, and fill it beyond its old end."""
    admin = AdminClient({"bootstrap.servers": broker.endpoint})
    admin.delete_topics([topic])[topic].result(120)

    def made():
        error = admin.create_topics([NewTopic(topic, 1, 1)])[topic].exception(120)
        assert error is None or error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
        return error is None

    eventually(made)
    broker.produce(topic, ((None, f"new {n}") for n in range(NEW)))


def copied(broker, topic):
    """Count the copies of each new message."""
    values = [message.value().decode() for message in read_committed(broker, topic)]
    return Counter(value for value in values if value.startswith("new"))


def copying(broker, source, target, **options):
    class Copy(Link):
        def transform(self, electron):
            return electron.value

    return quick(Copy, broker, source, target, **options)


@either_delivery
def test_a_running_link_reads_the_new_topic_from_its_beginning(broker, run, source, delivery):
    target = broker.topic("out")
    broker.produce(source, ((None, f"old {n}") for n in range(OLD)))
    run(copying(broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [OLD])
    make_again(broker, source)
    eventually(lambda: len(copied(broker, target)) == NEW)
    eventually(lambda: committed(broker, broker.group(), source) == [NEW])
    if delivery == "exactly_once":
        assert set(copied(broker, target).values()) == {1}


@either_delivery
def test_a_link_that_stopped_before_it_saw_the_change_begins_again_when_it_starts(
    broker, run, source, delivery, monkeypatch
):
    """Its last commit comes after that, and Kafka takes it: only the id of the topic tells that it is of another one."""
    monkeypatch.setattr("catena_core.consuming.starting_points.StartingPoints.find_recreated", lambda *_: False)
    target = broker.topic("out")
    broker.produce(source, ((None, f"old {n}") for n in range(OLD)))
    first = run(copying(broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [OLD])
    make_again(broker, source)
    # Not until it has committed: the broker may delete what a group has committed of a topic some time after the topic.
    eventually(lambda: len(copied(broker, target)) >= NEW - OLD)
    run.stop(first)
    monkeypatch.undo()
    assert len(copied(broker, target)) < NEW
    run(copying(broker, source, target, delivery=delivery))
    eventually(lambda: len(copied(broker, target)) == NEW)


def test_a_replaying_link_reads_the_new_topic_from_its_beginning(broker, run, source):
    broker.produce(source, ((None, f"old {n}") for n in range(OLD)))
    memory = run(quick(Memory, broker, source))

    def seen():
        return list(memory.seen.get((source, 0), ()))

    eventually(lambda: len(seen()) == OLD)
    make_again(broker, source)
    eventually(lambda: {f"new {n}" for n in range(NEW)} <= set(seen()))
