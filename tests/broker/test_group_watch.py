"""Partitions that no member of a group has: on Apache Kafka, as the embedded broker tells nothing of groups."""

import time

import pytest
from confluent_kafka import Consumer

from catena_core import Electron, Link
from catena_core.consuming.group_watch import GroupWatch
from tests.helpers.consumer_loop import committed
from tests.helpers.links import link
from tests.helpers.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True),
]


class Copy(Link):
    def transform(self, electron):
        return Electron(electron.key, electron.value)


def test_partitions_that_no_member_has_are_found_until_one_gets_them(broker, topic_name):
    group, one, other = topic_name("group"), broker.topic("one", 1), broker.topic("other", 2)
    watch = GroupWatch(group, {"bootstrap.servers": broker.endpoint}, 0.05)
    settings = {"bootstrap.servers": broker.endpoint, "group.id": group, "heartbeat.interval.ms": 300}
    first, second = Consumer(settings), Consumer(settings)

    def look(owned):
        first.poll(0.01)
        if second_joined:
            second.poll(0.01)
        return time.monotonic() > watch.due and watch.look([one, other, "a-topic-that-is-not-there"], owned)

    second_joined = False
    try:
        first.subscribe([one])
        watch.changed()
        assert eventually(lambda: look({(one, 0): None}))
        assert watch.unassigned == {(other, 0), (other, 1)}
        second.subscribe([other])
        second_joined = True
        eventually(lambda: not look({(one, 0): None}) and not watch.unassigned)
    finally:
        first.close()
        second.close()


def test_a_member_with_partitions_of_each_topic_asks_nothing(broker, topic_name):
    watch = GroupWatch(topic_name("group"), {"bootstrap.servers": "127.0.0.1:1"}, 0.0)
    watch.changed()
    assert not watch.look(["in"], {("in", 0): None})
    assert watch._question is None


def test_a_link_joins_once_more_and_goes_on_where_it_was(broker, run, monkeypatch, capsys):
    source, target = broker.topic("in", 2), broker.topic("out", 1)
    found, look = [], GroupWatch.look

    def once(watch, topics, owned):
        if not found and owned:
            found.append(frozenset({("in", 7)}))
            watch.unassigned = found[0]
            return True
        return look(watch, topics, owned)

    monkeypatch.setattr(GroupWatch, "look", once)
    broker.produce(source, [(str(number % 10), str(number)) for number in range(200)])
    often = {"topic.metadata.refresh.interval.ms": "300"}
    copy = run(link(Copy, broker, source, target, properties=often))
    broker.read(target, 200, distinct=True)
    eventually(lambda: found)
    broker.produce(source, [(str(number % 10), str(number)) for number in range(200, 300)])
    values = list(dict.fromkeys(int(message.value()) for message in broker.read(target, 300, distinct=True)))
    assert sorted(values) == list(range(300))
    for key in range(10):
        of_key = [value for value in values if value % 10 == key]
        assert of_key == sorted(of_key)
    eventually(lambda: sum(committed(broker, copy.consumer_group, source, 2)) == 300)
    assert "joining it again" in capsys.readouterr().err
