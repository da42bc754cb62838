"""What a link promises of its electrons: at least once, in order within a key, nothing lost, bad ones set aside."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from catena_core import Electron, Link
from catena_core.errors import RejectedError, StoppedError
from tests.helpers.links import Counting, link, quick
from tests.helpers.waiting import eventually


class Upper(Link):
    lanes = 4
    attempts = 3
    backoff = (0.01, 0.02)

    def __init__(self, **given):
        super().__init__(**given)
        self.attempted = 0
        self.finished = 0

    def transform(self, electron):
        if electron.value == "bad":
            self.attempted += 1
            raise ValueError("no such thing")
        if electron.value == "worse":
            self.attempted += 1
            raise RejectedError("never")
        return Electron(electron.key, electron.value.upper())

    def finish(self):
        self.finished += 1


def test_every_electron_arrives_once_and_in_the_order_of_its_key(broker, run):
    source, target = broker.topic("in"), broker.topic("out")
    broker.produce(source, ((f"k{n % 50}", f"v{n}") for n in range(5000)))
    run(link(Upper, broker, source, target))
    messages = broker.read(target, 5000, settle=0.3)
    assert len(messages) == 5000
    last = {}
    for message in messages:
        number = int(message.value()[1:])
        assert last.get(message.key(), -1) < number
        last[message.key()] = number


def test_instances_share_the_partitions(broker, run):
    source, target = broker.topic("in"), broker.topic("out")

    class Signed(Counting):
        def transform(self, electron):
            time.sleep(0.002)
            return Electron(electron.key, self.uid)

    first, second = (run(quick(Signed, broker, source, target)) for _ in range(2))
    eventually(lambda: len(first.own) == len(second.own) == 2)
    broker.produce(source, ((f"k{n}", "v") for n in range(400)))
    assert {message.value().decode() for message in broker.read(target, 400)} == {first.uid, second.uid}


def test_what_fails_for_good_stands_in_the_dead_letters_with_its_reason(broker, run):
    source, target, dead = broker.topic("in"), broker.topic("out"), broker.topic("dead")
    broker.produce(source, [("a", "bad"), ("a", "good")])
    failing = link(Upper, broker, source, target)
    failing.dead_letter_topic = dead
    run(failing)
    (message,) = broker.read(dead, 1)
    headers = {name: data.decode() for name, data in message.headers()}
    assert (message.key(), message.value()) == (b"a", b"bad")
    assert headers["error"] == "no such thing"
    assert headers["error-type"] == "ValueError"
    assert headers["original-topic"] == source
    assert headers["attempts"] == "3"
    assert failing.attempted == 3
    assert [message.value() for message in broker.read(target, 1)] == [b"GOOD"]


def test_what_is_rejected_is_not_tried_again(broker, run):
    source, dead = broker.topic("in"), broker.topic("dead")
    broker.produce(source, [("a", "worse")])
    failing = link(Upper, broker, source, broker.topic("out"))
    failing.dead_letter_topic = dead
    run(failing)
    broker.read(dead, 1)
    assert failing.attempted == 1


def test_a_value_that_cannot_be_read_is_set_aside_as_it_came(broker, run):
    source, dead = broker.topic("in"), broker.topic("dead")
    broker.produce(source, [("a", b"{not json")], headers={"content-type": b"application/json"})
    failing = link(Upper, broker, source, broker.topic("out"))
    failing.dead_letter_topic = dead
    run(failing)
    (message,) = broker.read(dead, 1)
    assert message.value() == b"{not json"
    assert dict(message.headers())["error-type"] == b"CodecError"


def test_a_clean_stop_finishes_commits_and_is_not_repeated(broker, run):
    source, target = broker.topic("in"), broker.topic("out")
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(1000)))
    first = run(link(Upper, broker, source, target))
    broker.read(target, 1000)
    run.stop(first)
    assert (first.finished, first.status) == (1, 0)
    broker.produce(source, [("k", "last")])
    run(link(Upper, broker, source, target))
    values = [message.value() for message in broker.read(target, 1001, settle=0.5)]
    assert len(values) == 1001
    assert b"LAST" in values


def test_an_electron_whose_transform_never_ended_is_delivered_again(broker, run):
    source, target = broker.topic("in", partitions=1), broker.topic("out")
    broker.produce(source, [("a", "first"), ("a", "second")])

    class Stuck(Link):
        drain_timeout = 0.2
        reached = threading.Event()

        def transform(self, electron):
            if electron.value == "second":
                self.reached.set()
                self.wait(60)
            return electron.value

    stuck = run(link(Stuck, broker, source, target))
    assert stuck.reached.wait(120)
    run.stop(stuck)
    run(link(Upper, broker, source, target))
    values = {message.value() for message in broker.read(target, 2, settle=0.5)}
    assert b"SECOND" in values


def test_a_transform_that_outlives_its_link_is_told_that_it_is_over(broker, run):
    """It is neither tried again nor set aside: nothing could be sent, and another instance has the electron by now."""
    source, target, dead = broker.topic("in"), broker.topic("out"), broker.topic("dead")
    broker.produce(source, [("a", "slow")])

    class Deaf(Link):
        drain_timeout = 0.2
        dead_letter_topic = dead
        reached, ended = threading.Event(), threading.Event()
        told: tuple[str, ...] = ()

        def transform(self, electron):
            self.reached.set()
            self.ended.wait(300)
            with pytest.raises(StoppedError):
                self.send("too late")
            self.told += (electron.value,)
            return electron.value

    deaf = run(link(Deaf, broker, source, target))
    assert deaf.reached.wait(120)
    run.stop(deaf)
    deaf.ended.set()
    eventually(lambda: deaf.told == ("slow",))
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("lane")])
    assert (deaf.told, deaf.status) == (("slow",), 0)
    run(link(Upper, broker, source, target))
    assert [message.value() for message in broker.read(target, 1, settle=0.5)] == [b"SLOW"]


def test_kill_9_loses_nothing(broker, tmp_path):
    source, target = broker.topic("in"), broker.topic("out")
    program = tmp_path / "slow.py"
    program.write_text(
        "import time\n"
        "from catena_core import Electron, Link\n"
        "class Slow(Link):\n"
        "    '''Copies, slowly.'''\n"
        "    batch_size = 20\n"
        "    def transform(self, electron):\n"
        "        time.sleep(0.002)\n"
        "        return Electron(electron.key, electron.value)\n"
        "Slow().start()\n"
    )
    command = [sys.executable, str(program), "-k", broker.endpoint, "-i", source, "-o", target, "-g", broker.group()]
    command += [item for name, value in broker.properties.items() for item in ("-X", f"{name}={value}")]
    broker.produce(source, ((f"k{n % 100}", f"v{n}") for n in range(1500)))
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        broker.read(target, 200)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        victim = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        arrived = {message.value() for message in broker.read(target, 1500, distinct=True)}
        assert len(arrived) == 1500
    finally:
        victim.terminate()
        assert victim.wait(120) == 0


def test_a_slow_partition_holds_up_no_other(broker, run):
    source, target = broker.topic("in", partitions=2), broker.topic("out")

    class Hangs(Link):
        lanes = "partition"
        batch_size = 10
        drain_timeout = 0.2

        def transform(self, electron):
            if electron.partition == 0:
                self.wait(60)
            return electron.value

    broker.produce(source, ((None, "hangs") for _ in range(500)), partition=0)
    broker.produce(source, ((None, f"v{n}") for n in range(500)), partition=1)
    run(link(Hangs, broker, source, target))
    assert len({message.value() for message in broker.read(target, 500, distinct=True)}) == 500


def test_an_input_topic_is_added_while_running(broker, run):
    first, second, target = broker.topic("in"), broker.topic("more"), broker.topic("out")
    broker.produce(first, [("k", "one")])
    broker.produce(second, [("k", "two")])
    running = run(link(Upper, broker, first, target))
    assert [message.value() for message in broker.read(target, 1)] == [b"ONE"]
    running.add_input_topic(second)
    assert [message.value() for message in broker.read(target, 2)] == [b"ONE", b"TWO"]
    running.remove_input_topic(first)
    broker.produce(second, [("k", "three")])
    assert len(broker.read(target, 3)) == 3


def test_a_synchronous_send_returns_when_kafka_has_it(broker, run):
    target = broker.topic("out")

    class Source(Link):
        def setup(self):
            self.called = []

        def generator(self):
            self.send("first", synchronous=True)
            self.send(["second", "third"], callback=self.called.append, callback_args=("all",), synchronous=True)
            self.count = list(self.called)
            self.wait(60)

    source = run(link(Source, broker, (), target))
    eventually(lambda: getattr(source, "count", None))
    assert source.count == ["all"]
    assert len(broker.read(target, 3)) == 3
