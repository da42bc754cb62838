"""What whoever operates links relies on: metrics, health, traces, logs, dead letters and their limits, and quiet rebalances."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter

import pytest
import requests
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from catena_core import DeadLetterLimits, Electron, Link
from tests.helpers.links import arguments, keeps_offsets_of_transactions, link
from tests.helpers.waiting import eventually
from tests.servers.process import free_port

TRACE = "0af7651916cd43dd8448eb211c80319c"


def figures(port):
    """Read a link's metrics, by name and labels; none as long as it does not serve them."""
    try:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    except requests.ConnectionError:
        return {}
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def status(port, path):
    return requests.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code


class Mixed(Link):
    """Succeeds, fails once, or fails for good, as the electron says; waits for the gate before the first."""

    attempts, backoff = 3, (0.02, 0.1)
    dead_letter_limits = None

    def __init__(self, gate, **given):
        super().__init__(**given)
        self.gate, self.tried = gate, Counter()

    def transform(self, electron):
        while not self.gate.is_set():
            self.wait(0.01)
        self.tried[electron.value] += 1
        if electron.value == "bad" or (electron.value == "shaky" and self.tried["shaky"] == 1):
            raise ValueError(electron.value)
        return Electron(electron.key, electron.value)


def test_metrics_and_health_tell_what_happens_from_end_to_end(broker, run):
    source, target, dead = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("dead")
    broker.produce(source, [("k", value) for value in ["good"] * 7 + ["shaky", "bad", "good"]])
    gate, port = threading.Event(), free_port()

    def make(broker_given, **given):
        mixed = Mixed(gate, **given)
        mixed.dead_letter_topic = dead
        return mixed

    mixed = run(link(lambda **given: make(broker, **given), broker, source, target, metrics_port=port))
    eventually(lambda: figures(port).get(("catena_lag", "0", source)) == 10)
    eventually(lambda: (status(port, "/healthz"), status(port, "/readyz")) == (200, 200))
    gate.set()
    eventually(lambda: figures(port).get(("catena_lag", "0", source)) == 0)
    expected = {
        ("catena_consumed_total", "0", source): 10,
        ("catena_produced_total", target): 9,
        ("catena_failed_total", source): 4,  # once for the shaky one, three times for the bad one
        ("catena_retried_total", source): 3,
        ("catena_dead_letters_total", source): 1,
        ("catena_transform_seconds_count", source): 10,
        ("catena_assigned_partitions",): 1,
        ("catena_rebalances_total",): 1,
        ("catena_lane_depth", "lane 0"): 0,
        ("catena_paused_partitions",): 0,
    }
    eventually(
        lambda: {name: figures(port).get(name) for name in expected} == expected, message=lambda: str(figures(port))
    )
    eventually(lambda: figures(port)["catena_commits_total",] >= 1)
    run.stop(mixed)
    with pytest.raises(requests.ConnectionError):
        status(port, "/healthz")


def test_a_link_is_ready_when_it_has_partitions(broker, run):
    port, setting_up, goes_on = free_port(), threading.Event(), threading.Event()

    class Prepares(Link):
        def setup(self):
            setting_up.set()
            goes_on.wait(300)

        def transform(self, electron):
            return None

    run(link(Prepares, broker, broker.topic("in"), metrics_port=port))
    assert setting_up.wait(120)
    eventually(lambda: (status(port, "/healthz"), status(port, "/readyz")) == (200, 503))
    goes_on.set()
    eventually(lambda: status(port, "/readyz") == 200)


def test_a_trace_is_carried_through_two_links(broker, run):
    first, second, third = (broker.topic(name) for name in ("first", "second", "third"))

    class Passes(Link):
        def transform(self, electron):
            return Electron(electron.key, electron.value)

    run(link(Passes, broker, first, second, consumer_group=broker.group("one")))
    run(link(Passes, broker, second, third, consumer_group=broker.group("two")))
    broker.produce(first, [("k", "v")], headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=b"})
    parents = []
    for topic in (second, third):
        (message,) = broker.read(topic, 1)
        headers = {name: data.decode() for name, data in message.headers()}
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", headers["traceparent"])
        assert headers["tracestate"] == "a=b"
        parents.append(headers["traceparent"])
    assert len({*parents, f"00-{TRACE}-b7ad6b7169203331-01"}) == 3, "each step is one of its own"


LIMITED = """
import sys
from catena_core import DeadLetterLimits, Link

class Broken(Link):
    '''Fails whatever comes, but for what is good.'''
    attempts = 1
    dead_letter_limits = DeadLetterLimits(run=3)

    def transform(self, electron):
        if electron.value != "good":
            raise ValueError(f"no such {electron.value}")
        return electron.value

Broken().start()
"""


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_link_that_fails_at_everything_stops_at_the_limit_and_says_so_in_json(broker, delivery):
    source, target = broker.topic("in", partitions=1), broker.topic("out")
    broker.produce(source, [("k", value) for value in ["good", "good", *["bad"] * 8]])
    command = [sys.executable, "-c", LIMITED, *arguments(broker, source, target), "--log-format", "json"]
    ended = subprocess.run([*command, "--delivery", delivery], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {(line["link"], line["group"]) for line in lines} == {("Broken", broker.group())}
    assert len({line["uid"] for line in lines}) == 1
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (reason,) = [line for line in lines if line["message"].startswith("stopping, because")]
    assert "4 electrons in a row failed for good" in reason["message"]
    assert reason["level"] == "error"
    # Three were set aside; the fourth, and what comes after it, is still to be done.
    if delivery == "at_least_once" or keeps_offsets_of_transactions(broker):
        outside = Consumer({"bootstrap.servers": broker.endpoint, "group.id": broker.group()})
        assert outside.committed([TopicPartition(source, 0)], 10)[0].offset == 5
        outside.close()
    assert len(broker.read(f"{broker.group()}.dead-letters", 3, settle=0.3)) == 3


def test_the_next_electron_waits_until_all_attempts_have_failed(broker, run):
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")
    broker.produce(source, [("k", "bad"), ("k", "next")])

    class Fails(Link):
        attempts, backoff, dead_letter_topic = 4, (0.05, 0.1), dead

        def setup(self):
            self.times, self.after = [], []

        def transform(self, electron):
            if electron.value == "next":
                self.after.append(time.monotonic())
                return
            self.times.append(time.monotonic())
            raise ValueError("bad")

    fails = run(link(Fails, broker, source))
    (letter,) = broker.read(dead, 1)
    assert dict(letter.headers())["attempts"] == b"4"
    eventually(lambda: fails.after)
    assert len(fails.times) == 4
    assert fails.after[0] > fails.times[-1], "the next electron of the key comes after it"


class Shares(Link):
    """Notes what is given to it and taken from it, and who transformed what."""

    def __init__(self, **given):
        super().__init__(**given)
        self.has, self.history, self.seen = set(), [], []

    def assigned(self, partitions):
        self.has |= set(partitions)
        self.history.append(("assigned", tuple(sorted(partitions))))

    def revoked(self, partitions):
        self.has -= set(partitions)
        self.history.append(("revoked", tuple(sorted(partitions))))

    def transform(self, electron):
        self.seen.append(electron.partition)


@pytest.fixture
def apache(kafka):
    from tests.broker.conftest import Broker

    return Broker(kafka.bootstrap)


PROTOCOLS = {"cooperative": {}, "KIP-848": {"group.protocol": "consumer"}}


@pytest.mark.kafka
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_joining_member_does_not_stop_the_partitions_that_stay(apache, run, protocol):
    source = apache.topic("in", partitions=4)
    first = run(link(Shares, apache, source, properties=PROTOCOLS[protocol], num_rpc_threads=0))
    eventually(lambda: len(first.has) == 4)
    stop = threading.Event()

    def produce():
        while not stop.wait(0.02):
            for partition in range(4):
                apache.produce(source, [("k", "v")], partition=partition)

    producing = threading.Thread(target=produce)
    producing.start()
    try:
        second = run(link(Shares, apache, source, properties=PROTOCOLS[protocol], num_rpc_threads=0))
        eventually(lambda: len(first.has) == len(second.has) == 2)
        eventually(lambda: second.seen)
    finally:
        stop.set()
        producing.join()
    # Only what moved was taken away.
    revoked = [partition for what, partitions in first.history if what == "revoked" for partition in partitions]
    assert sorted(revoked) == sorted(second.has)


@pytest.mark.kafka
def test_a_static_member_that_is_back_in_time_disturbs_nobody(apache, run):
    source = apache.topic("in", partitions=4)
    patient = {"session.timeout.ms": "20000"}

    def start(name):
        return run(link(Shares, apache, source, properties=patient, instance_id=name, num_rpc_threads=0))

    one = start("one")
    eventually(lambda: len(one.has) == 4)
    two = start("two")
    eventually(lambda: len(one.has) == len(two.has) == 2)
    had, history = set(two.has), list(one.history)
    run.stop(two)
    again = start("two")
    eventually(lambda: again.has == had)
    assert one.history == history
    apache.produce(source, ((f"k{number}", "v") for number in range(100)))
    eventually(lambda: len(one.seen) + len(again.seen) == 100)
    assert again.seen


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["replay", "exactly_once"])
def test_the_protocol_of_kip_848_serves_replaying_and_exactly_once_links(apache, run, kind):
    source, target = apache.topic("in", partitions=2), apache.topic("out")
    apache.produce(source, ((f"k{number}", f"v{number}") for number in range(200)))
    newer = {"group.protocol": "consumer"}

    class Passes(Link):
        replay = kind == "replay"

        def transform(self, electron):
            return Electron(electron.key, electron.value)

    for times in (1, 2):
        delivery = "at_least_once" if kind == "replay" else kind
        passes = run(link(Passes, apache, source, target, properties=newer, delivery=delivery, num_rpc_threads=0))
        # What replays reads everything each time; what commits goes on where it was.
        expected = 200 * times if kind == "replay" else 200
        assert len(apache.read(target, expected, settle=1.0)) == expected
        run.stop(passes)


@pytest.mark.kafka
def test_processes_share_the_work_and_one_that_is_killed_ends_them_all(apache):
    source, target = apache.topic("in", partitions=8), apache.topic("out")
    program = (
        "import os\n"
        "from catena_core import Link\n"
        "class Signs(Link):\n"
        "    def transform(self, electron):\n"
        "        return os.getpid()\n"
        "Signs().start()\n"
    )
    port = free_port(2)
    command = [sys.executable, "-c", program, *arguments(apache, source, target), "--rpc-threads", "0"]
    parent = subprocess.Popen([*command, "--processes", "2", "--metrics-port", str(port)], stderr=subprocess.DEVNULL)
    try:

        def ready():
            try:
                reports = [requests.get(f"http://127.0.0.1:{port + n}/readyz", timeout=60).json() for n in range(2)]
            except requests.ConnectionError:
                return False
            return all(len(report["partitions"]) == 4 for report in reports)

        eventually(ready)
        apache.produce(source, ((f"k{number}", "v") for number in range(200)))
        pids = Counter(int(message.value()) for message in apache.read(target, 200))
        assert len(pids) == 2
        os.kill(next(iter(pids)), signal.SIGKILL)
        assert parent.wait(120) == 1
    finally:
        parent.kill()
        parent.wait()


def test_limits_may_be_a_share(broker, run):
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")
    broker.produce(source, [("k", "bad" if number % 2 else "good") for number in range(40)])

    class Half(Link):
        attempts, dead_letter_topic = 1, dead
        dead_letter_limits = DeadLetterLimits(run=None, share=0.4, among=20)

        def transform(self, electron):
            if electron.value == "bad":
                raise ValueError("bad")

    half = run(link(Half, broker, source, consumer_group=f"half-{uuid.uuid4().hex[:8]}"))
    assert half.join(120)
    eventually(lambda: half.status == 1)
    assert "of the last 20 electrons failed for good" in str(half.failure)
