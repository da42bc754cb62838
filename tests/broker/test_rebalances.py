"""Rebalances and topics that change: on Apache Kafka, as the embedded broker waits out the session at each of them."""

import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from catena_core import Electron, Link
from catena_core.delivery.at_least_once import AtLeastOnce
from catena_core.errors import RejectedError
from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table
from tests.helpers.consumer_loop import committed
from tests.helpers.links import link
from tests.helpers.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True),
]
OFTEN = {"heartbeat.interval.ms": "300"}


class Slow(Link):
    """Takes its time, and has its partitions' changes told in its lane."""

    drain_timeout = 600.0

    def __init__(self, **given):
        super().__init__(**given)
        self.own, self.done, self.busy = set(), 0, threading.Event()

    def assigned(self, partitions):
        self.own |= set(partitions)

    def revoked(self, partitions):
        self.own -= set(partitions)

    def transform(self, electron):
        self.busy.set()
        self.wait(0.1)
        self.done += 1
        return Electron(electron.key, electron.value)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_newcomer_waits_only_for_the_electron_under_way(broker, run, lanes):
    source, target = broker.topic("in", 4), broker.topic("out", 1)
    broker.produce(source, [(str(number), str(number)) for number in range(2000)])
    given = {"properties": OFTEN, "num_main_threads": lanes, "num_rpc_threads": 0}
    first = run(link(Slow, broker, source, target, **given))
    assert first.busy.wait(120)
    second = run(link(Slow, broker, source, target, **given))
    eventually(lambda: second.own)  # long before the first is done with its queue
    eventually(lambda: len(first.own) == 2)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_topic_made_again_shorter_is_read_from_its_beginning(broker, run, delivery):
    source, target = broker.topic("in", 1), broker.topic("out", 1)
    broker.produce(source, [(None, f"old {number}") for number in range(100)])
    copying = run(
        link(
            Slow,
            broker,
            source,
            target,
            delivery=delivery,
            num_rpc_threads=0,
            num_main_threads=1,
            properties={"topic.metadata.refresh.interval.ms": "500"},
        )
    )
    copying.wait = lambda _seconds: None
    eventually(lambda: committed(broker, broker.group(), source) == [100])
    admin = AdminClient({"bootstrap.servers": broker.endpoint})
    admin.delete_topics([source])[source].result(120)
    eventually(lambda: source not in admin.list_topics(timeout=60).topics)
    broker.topic("in", 1)
    broker.produce(source, [(None, f"new {number}") for number in range(20)])
    eventually(lambda: committed(broker, broker.group(), source) == [20])
    assert copying.failure is None


def test_lag_is_none_behind_transactions_that_were_read(broker, run):
    source = broker.topic("in", 1)
    producer = Producer({"bootstrap.servers": broker.endpoint, "transactional.id": source})
    producer.init_transactions()
    for _ in range(3):
        producer.begin_transaction()
        producer.produce(source, "value")
        producer.commit_transaction()

    class Reads(Link):
        def transform(self, electron):
            return None

    run(link(Reads, broker, source, num_rpc_threads=0))
    eventually(lambda: committed(broker, broker.group(), source) == [6])


def test_a_pattern_is_pythons_and_leaves_out_the_groups_own_dead_letters(broker, run):
    source, tag = broker.topic("orders-1", 1), broker.group("")
    broker.topic("orders-x", 1)
    letters = f"orders{tag}.dead-letters"

    class Rejects(Link):
        dead_letter_topic = letters

        def __init__(self, **given):
            super().__init__(**given)
            self.seen = []

        def transform(self, electron):
            self.seen.append((electron.previous_topic, electron.value))
            raise RejectedError("never")

    often = {"topic.metadata.refresh.interval.ms": "300"}
    rejects = run(link(Rejects, broker, rf"^orders(?!-x).*{tag}(?:\.\w+-\w+)?$", properties=often, num_rpc_threads=0))
    broker.produce(source, [(None, "first")])
    assert len(broker.read(letters, 1)) == 1
    later = broker.topic("orders-2", 1)  # once it is found, the dead letters would be, too
    broker.produce(later, [(None, "second")])
    assert len(broker.read(letters, 2, settle=0.5)) == 2
    assert {topic for topic, _ in rejects.seen} == {source, later}


class Counts(Link):
    """Counts how often electrons come to it, and sends each on."""

    def __init__(self, **given):
        super().__init__(**given)
        self.seen = []

    def transform(self, electron):
        self.seen.append(electron.value)
        return electron.value if len(self.seen) < 5 else None


def test_a_pattern_leaves_out_the_links_own_outputs(broker, run):
    source, target = broker.topic("orders", 1), broker.topic("orders-clean", 1)
    often = {"topic.metadata.refresh.interval.ms": "300"}
    pattern = f"^orders(?:-clean)?{broker.group('')}$"
    counts = run(link(Counts, broker, pattern, target, properties=often, num_rpc_threads=0))
    broker.produce(source, [(None, "first")])
    assert len(broker.read(target, 1)) == 1
    broker.produce(source, [(None, "second")])
    assert len(broker.read(target, 2, settle=1)) == 2
    assert counts.seen == ["first", "second"]


def test_a_link_that_reads_what_it_writes_is_warned_and_does_so(broker, run, capsys):
    source = broker.topic("in", 1)
    counts = run(link(Counts, broker, source, source, num_rpc_threads=0))
    broker.produce(source, [(None, "first")])
    eventually(lambda: counts.seen == ["first"] * 5)
    assert f"the link reads {source} and writes it: its outputs come back to it" in capsys.readouterr().err


def test_a_class_that_names_a_topic_as_input_and_output_is_not_warned(broker, run, capsys):
    topic = broker.topic("in", 1)

    class Own(Counts):
        inputs = outputs = (topic,)

    counts = run(link(Own, broker, topic, topic, num_rpc_threads=0))
    broker.produce(topic, [(None, "first")])
    eventually(lambda: counts.seen == ["first"] * 5)
    assert "come back to it" not in capsys.readouterr().err


def test_a_table_reads_partitions_that_are_added(broker):
    topic = broker.topic("table", 1, compacted=True)
    table = Table(broker.endpoint, topic, LinkLogger("Read"), {"topic.metadata.refresh.interval.ms": "300"})
    try:
        broker.produce(topic, [(f"k{number}", "old") for number in range(5)])
        eventually(lambda: len(table) == 5)
        admin = AdminClient({"bootstrap.servers": broker.endpoint})
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(120)
        eventually(lambda: admin.list_topics(topic, timeout=60).topics[topic].partitions.keys() == {0, 1, 2})
        producer = Producer({"bootstrap.servers": broker.endpoint})
        producer.list_topics(topic, timeout=60)  # so that it knows the new ones
        producer.produce(topic, "new", "late", partition=2)
        assert producer.flush(120) == 0
        eventually(lambda: table.get("late") == "new")
        assert len(table) == 6
    finally:
        table.close()


@pytest.mark.parametrize(("partitions", "count"), [(1, 0), (1, 3), (2, 9), (3, 9)])
def test_a_table_whose_topic_is_made_again_has_the_rows_of_the_new_one(broker, partitions, count):
    topic = broker.topic("table", 2, compacted=True)
    changes = []
    table = Table(
        broker.endpoint,
        topic,
        LinkLogger("Read"),
        {"topic.metadata.refresh.interval.ms": "300"},
        on_change=lambda key, _old, new: changes.append((key, new)),
    )
    try:
        broker.produce(topic, [(f"old {number}", "v") for number in range(8)])
        eventually(lambda: len(table) == 8 and table._topic_id)
        admin = AdminClient({"bootstrap.servers": broker.endpoint})
        admin.delete_topics([topic])[topic].result(120)
        eventually(lambda: topic not in admin.list_topics(timeout=60).topics)
        broker.topic("table", partitions, compacted=True)
        new = {f"new {number}": "v" for number in range(count)}
        producer = Producer({"bootstrap.servers": broker.endpoint})  # that of the broker knows the old partitions
        for key, value in new.items():
            producer.produce(topic, value, key)
        assert producer.flush(120) == 0
        eventually(lambda: dict(table) == new)
        assert {key for key, value in changes if value is None} >= {f"old {number}" for number in range(8)}
    finally:
        table.close()


def test_a_member_without_partitions_leaves_its_group_when_it_ends(broker, run):
    source = broker.topic("in", 1)
    # Without a word of it the group would wait for it so long, at the next rebalance.
    given = {
        "properties": {"session.timeout.ms": "600000", "max.poll.interval.ms": "600000", **OFTEN},
        "num_rpc_threads": 0,
    }
    first = run(link(Slow, broker, source, **given))
    eventually(lambda: first.own)
    second = run(link(Slow, broker, source, **given))
    admin = AdminClient({"bootstrap.servers": broker.endpoint, "log_level": 0})

    def members():
        return sum(len(group.members) for group in admin.list_groups(broker.group(), timeout=10))

    eventually(lambda: members() == 2 and second.wait_until_ready(0))
    standing_by = first if not first.own else second
    run.stop(standing_by)
    eventually(lambda: members() == 1)
    assert first.own or second.own


def test_a_last_commit_that_waits_for_a_rebalance_beyond_the_deadline_is_made(broker, run, monkeypatch):
    source = broker.topic("in", 1)

    class Quick(Slow):
        drain_timeout = 0.5

        def transform(self, electron):
            self.done += 1

    broker.produce(source, [(None, str(number)) for number in range(5)])
    quick = run(link(Quick, broker, source, num_rpc_threads=0))
    eventually(lambda: quick.done == 5)
    commit = AtLeastOnce._commit

    def refused_for_long(delivery, wanted, asynchronous):
        leave_by = quick._catena.runtime._loop._leave_by
        if leave_by is None or time.monotonic() < leave_by + 0.1:
            return False
        return commit(delivery, wanted, asynchronous)

    monkeypatch.setattr(AtLeastOnce, "_commit", refused_for_long)
    broker.produce(source, [(None, str(number)) for number in range(5)])
    eventually(lambda: quick.done == 10)
    run.stop(quick)
    assert committed(broker, broker.group(), source)[0] == 10


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_an_output_topic_made_again_with_fewer_partitions_is_written_on(broker, run, delivery):
    target = broker.topic("out", 4)

    class Counts(Link):
        count = 0

        def generator(self):
            self.send(Electron(str(self.count), str(self.count)))
            self.count += 1
            self.wait(0.01)

    counts = run(link(Counts, broker, (), target, delivery=delivery, num_rpc_threads=0))
    broker.read(target, 50)
    admin = AdminClient({"bootstrap.servers": broker.endpoint, "log_level": 0})
    admin.delete_topics([target])[target].result()
    # The broker may be quicker: it makes a topic when one writes to it, with one partition, too.
    admin.create_topics([NewTopic(target, 1, 1)])[target].exception(120)
    broker.read(target, 50)
    assert counts.failure is None
