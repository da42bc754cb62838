"""The life of a link: how it is started, what runs in it, and that it ends cleanly, once, in whatever way."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from catena_core import Electron, Link
from catena_core.errors import UsageError
from tests.helpers.links import link
from tests.helpers.waiting import eventually
from tests.servers.process import free_port


class Ticks(Link):
    """A link without Kafka: it needs none. What it does is told by the function it is made with."""

    def __init__(self, tick, **given):
        super().__init__(**given)
        self.tick, self.calls, self.finished = tick, 0, 0

    def generator(self):
        self.calls += 1
        self.tick(self)

    def finish(self):
        self.finished += 1


def test_a_generator_is_called_again_and_again(run):
    ticks = run(Ticks(lambda link: time.sleep(0.001)))
    eventually(lambda: ticks.calls > 20)


def test_a_generator_may_never_return(run):
    ticks = Ticks(lambda link: threading.Event().wait())
    ticks.start(embedded=True)
    eventually(lambda: ticks.calls == 1)
    ticks.stop()
    assert ticks.join(5)
    assert (ticks.calls, ticks.finished) == (1, 1)


def test_a_generator_that_raises_is_called_again_and_its_error_logged(run, capsys):
    def tick(link):
        if link.calls == 1:
            raise ValueError("no such luck")
        link.wait(60)

    ticks = run(Ticks(tick))
    eventually(lambda: ticks.calls == 2, timeout=10)
    assert "the generator failed: ValueError('no such luck')" in capsys.readouterr().err


def test_system_exit_ends_the_generator_and_nothing_else(run):
    def tick(link):
        raise SystemExit

    ticks = run(Ticks(tick))
    eventually(lambda: ticks.calls == 1)
    time.sleep(0.3)
    assert ticks.calls == 1
    assert not ticks.stopping


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
    assert ending.join(20)
    eventually(lambda: ending.status == ENDS[way], timeout=5, message=lambda: f"status {ending.status}")
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
    assert first.join(20)
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
        said, log = process.communicate(timeout=20)
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
        began = time.monotonic()
        process.terminate()
        said, _ = process.communicate(timeout=20)
        assert (said, process.returncode) == ("finished\n", 0)
        assert time.monotonic() - began < 10
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
    assert hosted.join(20)
    assert hosted.over


def test_a_hosted_link_that_cannot_start_says_why_to_its_program():
    class Reads(Link):
        def transform(self, electron):
            return None

    with pytest.raises(UsageError, match="no Kafka endpoint"):
        Reads(input_topics="in").start(embedded=True)


def test_a_loop_is_called_at_its_interval_and_survives_its_errors(run, capsys):
    class Loops(Ticks):
        def setup(self):
            self.times, self.late = [], []
            self.loop(self.note, (self.times,), {"by": "name"}, interval=0.1)
            self.loop(self.note, (self.late,), interval=0.3, wait=True)
            self.began = time.monotonic()

        def note(self, times, by=None):
            times.append(time.monotonic())
            time.sleep(0.05)
            raise ValueError(f"by {by}")

    loops = run(Loops(lambda link: link.wait(60)))
    eventually(lambda: len(getattr(loops, "times", ())) >= 6 and loops.late)
    mean = (loops.times[5] - loops.times[0]) / 5
    assert 0.09 <= mean < 0.3, "from the start of one call to that of the next"
    assert loops.late[0] - loops.began >= 0.29
    assert "note failed: ValueError('by name')" in capsys.readouterr().err


def test_the_end_waits_for_what_asked_for_it():
    class Saves(Ticks):
        def setup(self):
            self.began, self.done = threading.Barrier(4), []
            self.loop(self.save, ("safe loop",), interval=60, safe_stop=True)
            self.launch_thread(self.save, ("safe thread",), safe_stop=True)
            self.launch_thread(self.save, ("other thread", 60))

        def save(self, name, seconds=0.7):
            self.began.wait()
            time.sleep(seconds)
            self.done.append(name)

    saves = Saves(lambda link: link.wait(60))
    saves.start(embedded=True)
    saves.began.wait(10)
    began = time.monotonic()
    saves.stop()
    assert saves.join(10)
    assert 0.4 < time.monotonic() - began < 5
    assert sorted(saves.done) == ["safe loop", "safe thread"]


def test_a_process_runs_beside_the_link(tmp_path, run):
    class Forks(Ticks):
        def setup(self):
            self.process = self.launch_process(self.work, (tmp_path / "pid",), {"text": "from "})

        def work(self, path, text):
            path.write_text(f"{text}{os.getpid()}")

    forks = run(Forks(lambda link: link.wait(60)))
    eventually(lambda: hasattr(forks, "process"))
    forks.process.join(10)
    assert (tmp_path / "pid").read_text() == f"from {forks.process.pid}"
    assert forks.process.pid != os.getpid()


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


class Passes(Link):
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
    time.sleep(0.5)
    broker.produce(first, [("k", "not read")])
    broker.produce(second, [("k", "two")])
    assert sorted(passes_topics(2)) == sorted([first, second])
    # What was not read is there when the topic is added again.
    passes.add_input_topic(first)
    assert sorted(passes_topics(3)) == sorted([first, first, second])
