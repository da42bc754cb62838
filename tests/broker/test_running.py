"""The life of a link: how it is started, what runs in it, and that it ends cleanly, once, in whatever way."""

import signal
import subprocess
import sys

import pytest

from catena_core import Electron, Link
from tests.helpers.links import Counting, link
from tests.helpers.waiting import eventually
from tests.servers.process import free_port


def test_generator_and_transform_work_side_by_side_in_one_link(broker, run):
    topic, target = broker.topic("loop"), broker.topic("out")

    class Both(Link):
        number = 0

        def generator(self):
            if self.number == 20:
                self.wait(600)
            self.number += 1
            self.send(f"n{self.number}", topic=topic)

        def transform(self, electron):
            return electron.value.upper()

    run(link(Both, broker, topic, target))
    expected = {f"N{number}".encode() for number in range(1, 21)}
    assert {message.value() for message in broker.read(target, 20)} == expected


class Ending(Link):
    """Ends in the way that it was told to, and notes its end."""

    drain_timeout = 2.0

    def __init__(self, way, **given):
        super().__init__(**given)
        self.way, self.finished, self.seen = way, 0, []

    def setup(self):
        if self.way == "setup fails":
            raise ValueError("no such table")
        if self.way == "setup exits":
            raise SystemExit
        if self.way == "suicide in a loop":
            self.loop(lambda: self.suicide("the loop"), interval=0.05)
        if self.way == "suicide in a thread":
            self.launch_thread(lambda: self.suicide("the thread"))
        if self.way == "suicide is an error":
            self.launch_thread(lambda: self.suicide("the error", exception=True))

    def generator(self):
        if self.way == "suicide in the generator":
            self.suicide("the generator")
        self.wait(600)

    def transform(self, electron):
        self.seen.append(electron.value)
        if self.way == "suicide in a transform":
            self.suicide("the transform")
        if self.way == "a transform that cannot go on":
            self.send("to nowhere")

    def finish(self):
        self.finished += 1
        if self.way == "finish fails":
            raise ValueError("still open")


ENDS = {
    "stop": 0,
    "suicide in a transform": 0,
    "suicide in the generator": 0,
    "suicide in a loop": 0,
    "suicide in a thread": 0,
    "suicide is an error": 1,
    "setup fails": 1,
    "setup exits": 0,
    "a transform that cannot go on": 1,
    "finish fails": 1,
}


@pytest.mark.parametrize("way", ENDS)
def test_finish_is_called_exactly_once_however_it_ends(embedded, run, way):
    from catena_core.embedded import CLIENT_PROPERTIES
    from tests.broker.conftest import Broker

    broker = Broker(embedded.endpoint, embedded.create_topic, CLIENT_PROPERTIES)
    source = broker.topic("in", partitions=1)
    broker.produce(source, [("k", "first")])
    ending = run(
        Ending(way, kafka_endpoint=broker.endpoint, input_topics=source, consumer_group=source, num_rpc_threads=0)
    )
    if way in ("stop", "finish fails"):
        eventually(lambda: ending.seen)
        ending.stop()
    assert ending.join(120)
    eventually(lambda: ending.status == ENDS[way], message=lambda: f"status {ending.status}")
    assert ending.finished == 1


def test_an_electron_whose_transform_commits_suicide_is_delivered_again(broker, run):
    source = broker.topic("in", partitions=1)
    broker.produce(source, [("k", "first"), ("k", "second")])

    class Quits(Link):
        last_words = "second"

        def __init__(self, **given):
            super().__init__(**given)
            self.seen = []

        def transform(self, electron):
            self.seen.append(electron.value)
            if electron.value == self.last_words:
                self.suicide("that was it")

    first = run(link(Quits, broker, source))
    assert first.join(120)
    assert (first.seen, first.status) == (["first", "second"], 0)
    again = link(Quits, broker, source)
    again.last_words = "none"
    run(again)
    eventually(lambda: again.seen == ["second"])


PROGRAM = """
import sys
from catena_core import Link

class Waits(Link):
    '''Does nothing until it is told to stop.'''
    drain_timeout = 2.0

    def generator(self):
        print("generating", flush=True)
        self.wait(600)

    def transform(self, electron):
        return electron.value

    def finish(self):
        print("finished", flush=True)

Waits().start()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_it_cleanly(broker, number):
    source = broker.topic("in")
    command = [sys.executable, "-c", PROGRAM, "-k", broker.endpoint, "-i", source, "-g", broker.group()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "generating\n"
        process.send_signal(number)
        said, log = process.communicate(timeout=120)
        assert (said, process.returncode) == ("finished\n", 0)
        assert f"stopping: {number.name}" in log
        assert "stopped cleanly" in log
    finally:
        process.kill()
        process.wait()


def test_without_a_broker_it_keeps_trying_says_so_and_can_be_stopped():
    port = free_port()
    command = [sys.executable, "-c", PROGRAM, "-k", f"127.0.0.1:{port}", "-i", "in"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        assert f"no Kafka broker answers at 127.0.0.1:{port}" in line
        assert "name the right address with -k HOST:PORT" in line
        assert process.poll() is None
        process.terminate()
        said, _ = process.communicate(timeout=120)
        assert (said, process.returncode) == ("finished\n", 0)
    finally:
        process.kill()
        process.wait()


def test_a_link_runs_in_a_program_that_goes_on(broker):
    source, target = broker.topic("in"), broker.topic("out")

    class Hosted(Link):
        def setup(self, prefix):
            self.prefix = prefix

        def transform(self, electron):
            return self.prefix + electron.value

        def finish(self):
            self.over = True

    hosted = link(Hosted, broker, source, target)
    hosted.start(embedded=True, setup_kwargs={"prefix": "> "})
    assert not hosted.join(0)
    broker.produce(source, [("k", "hello")])
    assert [message.value() for message in broker.read(target, 1)] == [b"> hello"]
    hosted.stop("the program is done with it")
    assert hosted.join(120)
    assert hosted.over


@pytest.mark.kafka
def test_a_pattern_finds_topics_that_are_made_later(kafka, run):
    from tests.broker.conftest import Broker

    broker = Broker(kafka.bootstrap)
    first, target = broker.topic("found-first"), broker.topic("out")
    suffix = first.rpartition("-")[2]
    broker.produce(first, [("k", "one")])
    pattern = f"^found-.*-{suffix}$"
    run(link(Passes, broker, pattern, target, properties={"topic.metadata.refresh.interval.ms": "500"}))
    assert [message.value() for message in broker.read(target, 1)] == [first.encode()]
    later = broker.topic("found-later")
    broker.produce(later, [("k", "two")])
    broker.produce(broker.topic("lost"), [("k", "three")])
    assert {message.value() for message in broker.read(target, 2, settle=0.5)} == {first.encode(), later.encode()}


class Passes(Counting):
    """Tells where each electron came from."""

    def transform(self, electron):
        return Electron(electron.key, electron.previous_topic)


def test_a_topic_is_removed_while_running_and_the_others_go_on(broker, run):
    first, second, target = broker.topic("in"), broker.topic("more"), broker.topic("out")
    broker.produce(first, [("k", "one")])
    passes = run(link(Passes, broker, (first, second), target))
    passes_topics = lambda count: [message.value().decode() for message in broker.read(target, count, settle=0.5)]  # noqa: E731
    assert passes_topics(1) == [first]
    passes.remove_input_topic(first)
    assert passes.input_topics == (second,)
    eventually(lambda: {topic for topic, _ in passes.own} == {second})
    broker.produce(first, [("k", "not read")])
    broker.produce(second, [("k", "two")])
    assert sorted(passes_topics(2)) == sorted([first, second])
    # What was not read is there when the topic is added again.
    passes.add_input_topic(first)
    assert sorted(passes_topics(3)) == sorted([first, first, second])
