"""Electrons that fail, and outputs that Kafka refuses: tried again, then among the dead letters."""

import re
import secrets
import statistics
import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from catena_core import Electron, Link
from catena_core.dead_letters.policy import DeadLetterLimits
from catena_core.dead_letters.replay import VALUE_LEFT_OUT
from tests.helpers.consumer_loop import committed
from tests.helpers.links import Counting, link, quick
from tests.helpers.waiting import eventually

on_apache = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
both_deliveries = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])


def read_committed(broker, topic, partitions=4):
    """All that a reader of finished transactions sees of a topic now."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.endpoint,
            "group.id": uuid.uuid4().hex,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    messages, ends, until = [], 0, time.monotonic() + 20
    try:
        while ends < partitions and time.monotonic() < until:
            found = consumer.consume(1000, 0.2)
            ends += sum(message.error() is not None for message in found)
            messages += [message for message in found if message.error() is None]
    finally:
        consumer.close()
    return messages


def small_topic(broker, name, largest):
    """A topic that takes messages up to so many bytes."""
    topic = broker.group(name)
    admin = AdminClient({"bootstrap.servers": broker.endpoint})
    admin.create_topics([NewTopic(topic, 4, 1, config={"max.message.bytes": str(largest)})])[topic].result(20)
    return topic


def test_what_fails_is_tried_a_few_times_with_growing_waits_then_set_aside_then_committed(broker, run):
    """Neither lost nor tried in a hot loop; and once it is among the dead letters it does not come again."""
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")

    class Failing(Link):
        attempts = 4
        backoff = (0.2, 0.2)
        times = []  # noqa: RUF012
        dead_letter_topic = dead

        def transform(self, electron):
            self.times.append(time.monotonic())
            raise ValueError("never")

    broker.produce(source, [(None, "bad")])
    failing = run(link(Failing, broker, source))
    assert len(broker.read(dead, 1)) == 1
    assert len(Failing.times) == 4
    assert 0.0 < Failing.times[-1] - Failing.times[0] < 3.0
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    run.stop(failing)
    run(link(Failing, broker, source))
    broker.produce(source, [(None, "worse")])
    assert len(broker.read(dead, 2, settle=0.3)) == 2
    assert len(Failing.times) == 8


@on_apache
@both_deliveries
def test_an_output_that_its_topic_refuses_becomes_a_dead_letter(broker, run, delivery):
    """What Kafka refuses for good must neither stop the link nor be lost; the rest goes on."""
    source, target = broker.topic("in", partitions=1), small_topic(broker, "out", 2000)
    dead = small_topic(broker, "dead", 1_000_000)

    class Blowing(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            # Of random text, since a topic's limit is one of what is left after compression.
            return Electron(electron.value, secrets.token_hex(5000 if electron.value == "v3" else 16))

    broker.produce(source, ((None, f"v{n}") for n in range(8)))
    blowing = run(quick(Blowing, broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [8])
    letters = {message.key(): message for message in eventually(lambda: read_committed(broker, dead))}
    assert len(letters[b"v3"].value()) == 10_000
    assert b"too large" in dict(letters[b"v3"].headers())["error"]
    # Kafka refuses whole batches; what went along with it must arrive all the same.
    arrived = sorted(message.key() for message in read_committed(broker, target))
    assert arrived == [f"v{n}".encode() for n in range(8) if n != 3]
    assert set(letters) == {b"v3"}
    run.stop(blowing)
    assert blowing.status == 0


@on_apache
@both_deliveries
def test_dead_letters_whose_topic_refuses_them_too_go_there_without_their_value(broker, run, delivery):
    """A dead letter that cannot be sent must not stop the link: at least what there was is told."""
    source, dead = broker.topic("in", partitions=1), small_topic(broker, "dead", 1500)

    class Failing(Link):
        attempts = 1
        dead_letter_topic = dead

        def transform(self, electron):
            raise ValueError("never")

    broker.produce(source, [("large", secrets.token_hex(3000))])
    failing = run(quick(Failing, broker, source, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    broker.produce(source, [("small", "v")])
    eventually(lambda: committed(broker, broker.group(), source) == [2])
    letters = {message.key(): message for message in read_committed(broker, dead)}
    assert letters[b"small"].value() == b"v"
    assert letters[b"large"].value() is None
    headers = dict(letters[b"large"].headers())
    assert headers[VALUE_LEFT_OUT].endswith(b"too large for " + dead.encode())
    assert headers["original-offset"] == b"0"
    run.stop(failing)
    assert failing.status == 0


@both_deliveries
def test_an_output_too_large_for_any_topic_is_a_dead_letter_of_its_electron(broker, run, delivery):
    """What cannot be sent at all is found out where it arises, not where it would end the link."""
    source, target, dead = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("dead")

    class Blowing(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            return Electron(electron.key, "x" * (17 * 1024 * 1024) if electron.value == "large" else "y")

    broker.produce(source, [("a", "large"), ("b", "small")])
    blowing = run(quick(Blowing, broker, source, target, delivery=delivery))
    assert [message.value() for message in broker.read(target, 1)] == [b"y"]
    assert [message.value() for message in broker.read(dead, 1)] == [b"large"]
    run.stop(blowing)
    assert blowing.status == 0


def test_where_everything_fails_the_link_stops_at_its_limit(broker, run):
    """Dead letters are for the electrons' faults; a link that is at fault itself must not put all of a topic there."""
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")

    class Broken(Link):
        attempts = 1
        dead_letter_topic = dead
        dead_letter_limits = DeadLetterLimits(run=20)

        def transform(self, electron):
            raise KeyError("not set up")

    broker.produce(source, ((None, f"v{n}") for n in range(500)))
    broken = run(quick(Broken, broker, source))
    eventually(lambda: broken.status == 1)
    assert len(broker.read(dead, 20, settle=0.3)) == 20
    assert committed(broker, broker.group(), source)[0] <= 20


def test_what_fails_while_its_partition_leaves_is_no_dead_letter(broker, run):
    """Another instance has it by then, and may fare better."""
    source, target, dead = broker.topic("in", partitions=2), broker.topic("out"), broker.topic("dead")
    failed = threading.Event()

    class Failing(Counting):
        attempts = 1
        drain_timeout = 0.3
        dead_letter_topic = dead
        leave = threading.Event()

        def transform(self, electron):
            if not failed.is_set():
                failed.set()
                self.leave.wait(60)
                raise ValueError("too late")
            return super().transform(electron)

    first = run(quick(Failing, broker, source, target))
    eventually(lambda: len(first.own) == 2)
    for partition in range(2):
        broker.produce(source, [(None, f"v{partition}")], partition=partition)
    eventually(failed.is_set)
    run.stop(first)
    Failing.leave.set()
    run(quick(Failing, broker, source, target))
    assert {message.value() for message in broker.read(target, 2)} == {b"v0", b"v1"}
    assert not broker.read(dead, 1, timeout=1.0)


@on_apache
def test_each_member_has_one_transactional_id_that_names_application_and_instance(broker, run):
    """Ids that two members share fence each other; ids for each partition cost a producer each."""
    source, target = broker.topic("in"), broker.topic("out")

    class Copy(Counting):
        pass

    members = [
        run(quick(Copy, broker, source, target, delivery="exactly_once", instance_id=instance_id))
        for instance_id in ("one", None)
    ]
    eventually(lambda: all(member.own for member in members))
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(400)))
    eventually(lambda: len(read_committed(broker, target)) == 400)
    group = broker.group()
    seen = set()
    for message in read_committed(broker, "__transaction_state"):
        seen |= set(re.findall(rf"{re.escape(group)}\.[\w-]+", message.key().decode("utf-8", "replace")))
    assert seen == {f"{group}.one", f"{group}.{members[1].uid}"}


@on_apache
def test_all_that_a_transform_sends_is_seen_together_or_not_at_all(broker, run):
    """Also what it sends by itself, to whatever topic; and what an attempt that failed has sent is not seen."""
    source, target, side = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("side")

    class Sending(Counting):
        attempts = 2
        backoff = (0.01, 0.01)

        def transform(self, electron):
            self.counts[electron.value] += 1
            self.send(Electron(electron.key, f"{electron.value} {self.counts[electron.value]}"), topic=side)
            self.send(Electron(electron.key, "waited for"), topic=side, synchronous=True)
            if electron.value == "v1" and self.counts["v1"] == 1:
                raise ValueError("once")
            return electron.value

    broker.produce(source, ((None, f"v{n}") for n in range(3)))
    run(quick(Sending, broker, source, target, delivery="exactly_once"))
    eventually(lambda: committed(broker, broker.group(), source) == [3])
    assert sorted(message.value() for message in read_committed(broker, target)) == [b"v0", b"v1", b"v2"]
    values = sorted(message.value() for message in read_committed(broker, side))
    assert values == [b"v0 1", b"v1 2", b"v2 1", b"waited for", b"waited for", b"waited for"]


@on_apache
def test_a_transform_that_outlives_its_partition_sends_nothing(broker, run):
    """What was under way when the partition was revoked is done by its next owner, and by nobody else."""
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)

    class Held(Counting):
        drain_timeout = 0.3
        end = threading.Event()

        def transform(self, electron):
            copied = super().transform(electron)
            if self.counts[electron.value] == 1:
                self.end.wait(60)
            return copied

    broker.produce(source, [("k", "v")])
    first = run(quick(Held, broker, source, target, delivery="exactly_once"))
    eventually(lambda: Held.counts["v"] == 1)
    ending = threading.Thread(target=run.stop, args=(first,))
    ending.start()
    run(quick(Held, broker, source, target, delivery="exactly_once"))
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    Held.end.set()
    ending.join()
    time.sleep(0.5)
    assert Held.counts["v"] == 2
    assert len(read_committed(broker, target, partitions=1)) == 1


@on_apache
def test_memory_is_bounded_however_far_behind_a_slow_link_is(broker, run):
    """Neither what is fetched ahead nor what waits for lanes grows with what stands in the topic."""
    source = broker.topic("in", partitions=1)
    megabyte = 1 << 20
    producer = Producer({"bootstrap.servers": broker.endpoint, "linger.ms": 20})
    value = uuid.uuid4().bytes * (100_000 // 16)
    for _ in range(4000):  # 400 MB
        producer.produce(source, value, partition=0)
        producer.poll(0)
        if len(producer) > 500:
            producer.flush(10)
    assert producer.flush(30) == 0

    class Slow(Counting):
        input_format = "bytes"
        attempted = 0

        def transform(self, electron):
            type(self).attempted += 1
            self.wait(0.05)

    before = _resident()
    run(link(Slow, broker, source))
    eventually(lambda: Slow.attempted > 20)
    highest = 0
    for _ in range(30):
        time.sleep(0.1)
        highest = max(highest, _resident() - before)
    assert highest < 200 * megabyte


def _resident():
    """The memory that this process has, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def test_lanes_run_side_by_side(broker, run):
    """No lock is held around a transform: as many as there are lanes are within it at once."""
    source, target = broker.topic("in"), broker.topic("out")
    meeting = threading.Barrier(4)

    class Meeting(Link):
        lanes = 4

        def transform(self, electron):
            meeting.wait(20)  # passes only when four are here
            return electron.key

    lanes = {}
    for n in range(200):
        lanes.setdefault(hash(f"k{n}".encode()) % 4, f"k{n}")
    broker.produce(source, ((key, "v") for key in lanes.values()))
    run(link(Meeting, broker, source, target))
    assert len(broker.read(target, 4)) == 4


@both_deliveries
def test_back_pressure_holds_results_and_never_runs_a_transform_again(broker, run, delivery):
    """While the producer's queue is full, what was transformed waits; it is not transformed anew."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Copy(Counting):
        def transform(self, electron):
            self.counts[electron.value] += 1
            return [Electron(f"k{n}", f"{electron.value}.{n}") for n in range(100)]

    broker.produce(source, ((None, f"v{n}") for n in range(100)))
    run(quick(Copy, broker, source, target, delivery=delivery, more={"queue.buffering.max.messages": "20"}))
    assert len({message.value() for message in broker.read(target, 10_000, settle=0.3)}) == 10_000
    assert len(Copy.counts) == 100
    assert set(Copy.counts.values()) == {1}


@on_apache  # the embedded broker keeps a fetch waiting for its full time, though something has come
def test_an_idle_hop_takes_well_below_55_milliseconds(broker, run):
    """Nothing sleeps while it waits for work: a lone electron is through at once."""
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)

    class Copy(Counting):
        pass

    copy = run(link(Copy, broker, source, target))
    consumer = Consumer({"bootstrap.servers": broker.endpoint, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(target, 0, OFFSET_BEGINNING)])
    producer = Producer({"bootstrap.servers": broker.endpoint, "linger.ms": 0})
    try:
        durations = []
        eventually(lambda: copy.own)
        for number in range(24):
            began = time.monotonic()
            producer.produce(source, str(number))
            producer.flush(10)
            message = consumer.poll(20)
            assert message is not None and message.value() == str(number).encode()
            durations.append(time.monotonic() - began)
            time.sleep(0.05 + 0.004 * number)  # at every phase of whatever might sleep
        assert statistics.median(durations[4:]) < 0.04
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("num_main_threads", "3", 3),
        ("num_rpc_threads", "0", 0),
        ("exp_window_size", "100", 100),
        ("consumer_timeout", "1.5", 1.5),
        ("metrics_port", "8000", 8000),
        ("rpc_port", "8001", 8001),
        ("processes", "2", 2),
    ],
)
def test_number_options_are_numbers_also_where_they_were_given_as_text(name, text, number):
    """A number that stays text is compared as text."""
    value = getattr(Link(**{name: text}).options, name)
    assert (type(value), value) == (type(number), number)
