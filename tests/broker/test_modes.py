"""What asynchronous, sequential and synchronous links, and exactly-once delivery, promise of order and of commits."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from typing import ClassVar

import pytest
from confluent_kafka import Consumer, TopicPartition

from catena_core import Link
from catena_core.kafka.watermarks import watermarks
from tests.helpers.links import arguments, keeps_offsets_of_transactions, link, quick_properties
from tests.helpers.waiting import eventually


class Numbers(Link):
    """Sends numbers, without a key."""

    count = 1000

    def generator(self):
        for number in range(self.count):
            self.send(number)
        self.wait(600)


class Keeps(Link):
    def setup(self):
        self.kept = []

    def transform(self, electron):
        self.kept.append(electron.value)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_sequential_links_keep_the_order_from_producer_to_consumer(broker, run, delivery):
    first, second = broker.topic("first", partitions=4), broker.topic("second", partitions=4)

    class Passes(Link):
        lanes = 4  # of which a sequential link has one

        def transform(self, electron):
            return electron.value

    together = {"sequential": True, "delivery": delivery}
    run(link(Numbers, broker, target=first, **together))
    run(link(Passes, broker, first, second, consumer_group=broker.group("passes"), **together))
    keeps = run(link(Keeps, broker, second, consumer_group=broker.group("keeps"), sequential=True))
    eventually(lambda: len(getattr(keeps, "kept", ())) >= Numbers.count)
    assert keeps.kept == list(range(Numbers.count))


def test_an_asynchronous_link_transforms_side_by_side(broker, run):
    source, target = broker.topic("in", partitions=1), broker.topic("out")
    broker.produce(source, [(f"k{number}", "v") for number in range(64)])

    class Meets(Link):
        lanes_at_work: ClassVar[set] = set()

        def transform(self, electron):
            self.lanes_at_work.add(threading.get_ident())
            while len(self.lanes_at_work) < 2:
                self.wait(0.01)
            return "met"

    run(link(Meets, broker, source, target, num_main_threads=2, num_rpc_threads=0))
    assert len(broker.read(target, 64)) == 64


@pytest.mark.parametrize("given", [{"synchronous": True}, {"sequential": True}], ids=["synchronous", "sequential"])
def test_one_electron_at_a_time_where_order_is_asked_for(broker, run, given):
    source, target = broker.topic("in", partitions=4), broker.topic("out")
    broker.produce(source, [(f"k{number}", "v") for number in range(40)])

    class Counts(Link):
        under_way, most, lanes = 0, 0, 8

        def transform(self, electron):
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.wait(0.005)
            self.under_way -= 1
            return "done"

    counts = run(link(Counts, broker, source, target, num_main_threads=8, **given))
    assert len(broker.read(target, 40)) == 40
    assert counts.most == 1


class Watches(Link):
    """Notes at each electron what the group has committed and how many outputs Kafka has by then."""

    def setup(self):
        common = {"bootstrap.servers": self.kafka_endpoint, "group.id": self.consumer_group}
        self.seen, self.group = [], Consumer(common)
        # The end of what is committed follows a transaction a little later than the end of what is stored.
        self.ends = Consumer({**common, "isolation.level": "read_uncommitted"})

    def transform(self, electron):
        place = TopicPartition(electron.previous_topic, electron.partition)
        committed = self.group.committed([place], 60)[0].offset
        stored = watermarks(self.ends, self.output_topics[0], 0, 60)[1]
        self.seen.append((electron.offset, committed, stored))
        return ["one", "two"]

    def finish(self):
        self.group.close()
        self.ends.close()


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_synchronous_link_has_each_electron_stored_and_committed_before_the_next(broker, run, delivery):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    broker.produce(source, [("k", "v")] * 10)
    watches = run(link(Watches, broker, source, target, synchronous=True, delivery=delivery))
    eventually(lambda: len(getattr(watches, "seen", ())) == 10)
    for offset, committed, stored in watches.seen[1:]:
        if delivery == "at_least_once" or keeps_offsets_of_transactions(broker):
            assert committed == offset
        assert stored >= 2 * offset
    assert [offset for offset, *_ in watches.seen] == list(range(10))


KILLED = """
import os, pathlib, signal, sys
from catena_core import Electron, Link

class Falls(Link):
    '''Is killed in the transform of one electron, the first time that it meets it.'''

    def transform(self, electron):
        mark = pathlib.Path(self.args[0])
        if electron.value == "v5" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Electron(electron.key, electron.value)

Falls().start()
"""


@pytest.mark.parametrize("mode", [[], ["--seq"], ["--sync"], ["--delivery", "exactly_once"]], ids=" ".join)
def test_a_link_killed_in_a_transform_sees_the_same_electron_again(broker, tmp_path, mode):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    broker.produce(source, [("k", f"v{number}") for number in range(10)])
    quick = arguments(broker, source, target, quick_properties(broker))
    command = [sys.executable, "-c", KILLED, *quick, *mode]
    # Of one name, it takes its own place in the group, and ends its own transaction.
    command += ["--rpc-threads", "0", "--instance-id", f"falls-{uuid.uuid4().hex[:8]}", str(tmp_path / "mark")]
    assert subprocess.run(command, timeout=240, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    again = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        values = [message.value().decode() for message in broker.read(target, 10, settle=0.5)]
        counts = Counter(values)
        assert set(counts) == {f"v{number}" for number in range(10)}
        assert counts["v5"] == 1
        if mode == ["--sync"] or ("exactly_once" in mode and keeps_offsets_of_transactions(broker)):
            # What stood before it was committed, or else not seen, so nothing comes twice.
            assert values == [f"v{number}" for number in range(10)]
    finally:
        again.terminate()
        assert again.wait(120) == 0


@pytest.mark.kafka
def test_exactly_once_is_a_switch_and_kill_9_doubles_and_loses_nothing(kafka, tmp_path):
    from tests.broker.conftest import Broker

    broker = Broker(kafka.bootstrap)
    source, target = broker.topic("in", partitions=2), broker.topic("out", partitions=2)
    program = (
        "import time\n"
        "from catena_core import Electron, Link\n"
        "class Slow(Link):\n"
        "    def transform(self, electron):\n"
        "        time.sleep(0.001)\n"
        "        self.send(Electron(electron.key, 'sent ' + electron.value))\n"
        "        return Electron(electron.key, 'returned ' + electron.value)\n"
        "Slow().start()\n"
    )
    broker.produce(source, ((f"k{number}", f"v{number}") for number in range(1500)))
    command = [sys.executable, "-c", program, *arguments(broker, source, target)]
    command += ["--delivery", "exactly_once", "--instance-id", f"slow-{uuid.uuid4().hex[:8]}", "--rpc-threads", "0"]
    link_process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for enough in (200, 1200):
            broker.read(target, enough)
            os.kill(link_process.pid, signal.SIGKILL)
            link_process.wait()
            link_process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        values = Counter(message.value().decode() for message in broker.read(target, 3000, settle=1.0))
        assert values == Counter(f"{how} v{number}" for how in ("sent", "returned") for number in range(1500))
    finally:
        link_process.terminate()
        assert link_process.wait(120) == 0
