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
    """Nothing sleeps while it waits for work: a lone electron is through at once.

    On a busy machine every message is late, so one that passes no link is measured beside each.
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
        producer.flush(10)
        message = consumer.poll(20)
        assert message is not None and message.value() == value.encode()
        return time.monotonic() - began

    try:
        durations, of_kafka = [], []
        eventually(lambda: copy.own)
        for number in range(24):
            of_kafka.append(seconds_through(direct, f"direct {number}"))
            durations.append(seconds_through(source, str(number)))
            time.sleep(0.05 + 0.004 * number)  # at every phase of whatever might sleep
        assert statistics.median(durations[4:]) < 0.035 + 2 * statistics.median(of_kafka[4:])
    finally:
        consumer.close()
