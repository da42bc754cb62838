"""A link under load: its memory is bounded, lanes run side by side, nothing runs twice, and an idle link is quick."""

import re
import statistics
import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from catena_core import Electron, Link
from tests.helpers.links import Counting, link, quick
from tests.helpers.waiting import eventually

on_apache = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
both_deliveries = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])


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
            producer.flush(120)
    assert producer.flush(120) == 0

    class Slow(Counting):
        input_format = "bytes"
        attempted = 0

        def transform(self, electron):
            type(self).attempted += 1
            self.wait(0.05)

    before = _resident()
    run(link(Slow, broker, source))
    highest = 0

    def watched():
        nonlocal highest
        highest = max(highest, _resident() - before)
        return Slow.attempted > 60

    eventually(watched)
    assert highest < 200 * megabyte


def _resident():
    """Measure the memory that this process has, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def test_lanes_run_side_by_side(broker, run):
    """No lock is held around a transform: as many as there are lanes are within it at once."""
    source, target = broker.topic("in"), broker.topic("out")
    meeting = threading.Barrier(4)

    class Meeting(Link):
        lanes = 4

        def transform(self, electron):
            meeting.wait(120)  # passes only when four are here
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
    assert len({message.value() for message in broker.read(target, 10_000, settle=0.3, distinct=True)}) == 10_000
    assert len(Copy.counts) == 100
    assert set(Copy.counts.values()) == {1}


@on_apache  # the embedded broker keeps a fetch waiting for its full time, though something has come
def test_an_idle_hop_takes_well_below_55_milliseconds(broker, run):
    """Nothing sleeps while it waits for work: a lone electron is through at once.

    On a busy machine every message is late, so one that passes no link is measured beside each, until the machine has been
    quiet for as long as some of them take; where something sleeps, no quiet helps.
    """
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    direct = broker.topic("direct", partitions=1)

    class Copy(Counting):
        pass

    copy = run(link(Copy, broker, source, target))
    consumer = Consumer({"bootstrap.servers": broker.endpoint, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in (target, direct)])
    producer = Producer({"bootstrap.servers": broker.endpoint, "linger.ms": 0})

    def seconds_through(topic, value):
        began = time.monotonic()
        producer.produce(topic, value)
        producer.flush(120)
        message = consumer.poll(120)
        assert message is not None and message.value() == value.encode()
        return time.monotonic() - began

    try:
        eventually(lambda: copy.own)
        seconds_through(source, "the first")

        def is_quick():
            durations, of_kafka = [], []
            for number in range(12):
                of_kafka.append(seconds_through(direct, f"direct {number}"))
                durations.append(seconds_through(source, str(number)))
                time.sleep(0.03 + 0.008 * number)  # at every phase of what might sleep
            return statistics.median(durations) < 0.035 + 2 * statistics.median(of_kafka)

        eventually(is_quick)
    finally:
        consumer.close()


def test_a_read_with_linger_gathers_a_batch(broker, run):
    class Gathering(Counting):
        batch_size = 6
        batch_linger = 10.0
        batches: list[list[str]] = []  # noqa: RUF012 (each test has its own class)

        def prepare_batch(self, electrons):
            self.batches.append([electron.value for electron in electrons])

    source = broker.topic("in", partitions=1)
    gathering = run(link(Gathering, broker, source, broker.topic("out")))
    eventually(lambda: gathering.own)
    for value in "abcdef":  # each arrives by itself
        broker.produce(source, [("k", value)])

    eventually(lambda: gathering.counts.total() == 6)
    assert len(gathering.batches) < 6
    assert [value for batch in gathering.batches for value in batch] == list("abcdef")
