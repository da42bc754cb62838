"""Generators, loops, threads and processes of a link: they are called as asked, fail aloud, and end with it."""

import asyncio
import os
import threading
import time

import pytest

from catena_core import Link
from catena_core.errors import DeliveryError
from tests.helpers.running import Ticks
from tests.helpers.waiting import eventually


def test_a_generator_is_called_again_and_again(run):
    ticks = run(Ticks(lambda link: time.sleep(0.001)))
    eventually(lambda: ticks.calls > 20)


def test_a_generator_may_never_return(run):
    ticks = Ticks(lambda link: threading.Event().wait())
    ticks.start(embedded=True)
    eventually(lambda: ticks.calls == 1)
    ticks.stop()
    assert ticks.join(120)
    assert (ticks.calls, ticks.finished) == (1, 1)


def test_a_generator_that_raises_is_called_again_and_its_error_logged(run, capsys):
    def tick(link):
        if link.calls == 1:
            raise ValueError("no such luck")
        link.wait(60)

    ticks = run(Ticks(tick))
    eventually(lambda: ticks.calls == 2)
    assert "the generator failed: ValueError('no such luck')" in capsys.readouterr().err


class Panic(BaseException):
    """A native extension's, which is no Exception either."""


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, Panic])
def test_errors_that_are_no_exceptions_end_neither_loop_nor_generator(run, error):
    class Interrupted(Link):
        calls, looped = 0, 0

        def setup(self):
            self.loop(self.count, interval=0.01)

        def count(self):
            self.looped += 1
            raise error("a bad day")

        def generator(self):
            self.calls += 1
            raise error("a bad day")

    interrupted = run(Interrupted())
    eventually(lambda: interrupted.looped > 2 and interrupted.calls > 1)
    assert interrupted.failure is None


@pytest.mark.parametrize("where", ["generator", "loop", "thread"])
def test_a_message_that_kafka_does_not_take_ends_the_link_wherever_it_was_sent(run, where):
    class Sends(Link):
        def give(self):
            raise DeliveryError("Kafka did not take it")

        def setup(self):
            if where == "loop":
                self.loop(self.give)
            if where == "thread":
                self.launch_thread(self.give)

        def generator(self):
            if where == "generator":
                self.give()
            self.wait(600)

    sends = run(Sends())
    assert sends.join(120)
    assert "Kafka did not take it" in str(sends.failure)
    eventually(lambda: sends.status == 1)


def test_a_loop_without_an_interval_that_fails_does_not_fill_the_log(run, capsys):
    class Fails(Ticks):
        def setup(self):
            self.loop(self.fail)
            self.loop(self.note)
            self.noted = 0

        def fail(self):
            raise ValueError("again")

        def note(self):
            self.noted += 1

    fails = run(Fails(lambda link: link.wait(60)))
    eventually(lambda: getattr(fails, "noted", 0) > 10_000)
    run.stop(fails)
    assert capsys.readouterr().err.count("fail failed: ValueError('again')") < 1000


def test_a_loop_is_called_at_its_interval_and_survives_its_errors(run, capsys):
    class Loops(Ticks):
        def setup(self):
            self.times, self.late, self.began = [], [], time.monotonic()
            self.loop(self.note, (self.times,), {"by": "name"}, interval=0.1)
            self.loop(self.note, (self.late,), interval=0.3, wait=True)

        def note(self, times, by=None):
            times.append(time.monotonic())
            time.sleep(0.05)
            raise ValueError(f"by {by}")

    loops = run(Loops(lambda link: link.wait(60)))
    eventually(lambda: len(getattr(loops, "times", ())) >= 6 and loops.late)
    assert loops.times[5] - loops.began >= 5 * 0.09, "from the start of one call to that of the next"
    assert loops.late[0] - loops.began >= 0.29
    assert "note failed: ValueError('by name')" in capsys.readouterr().err


def test_the_end_waits_for_what_asked_for_it():
    class Saves(Ticks):
        def setup(self):
            self.began, self.done = threading.Barrier(4), []
            self.loop(self.save, ("safe loop",), interval=60, safe_stop=True)
            self.launch_thread(self.save, ("safe thread",), safe_stop=True)
            self.launch_thread(self.save, ("other thread", 600))

        def save(self, name, seconds=0.3):
            self.began.wait()
            time.sleep(seconds)
            self.done.append(name)

    saves = Saves(lambda link: link.wait(60))
    saves.start(embedded=True)
    saves.began.wait(120)
    saves.stop()
    assert saves.join(120)
    assert sorted(saves.done) == ["safe loop", "safe thread"]


def test_a_process_runs_beside_the_link(tmp_path, run):
    class Forks(Ticks):
        def setup(self):
            self.process = self.launch_process(self.work, (tmp_path / "pid",), {"text": "from "})

        def work(self, path, text):
            path.write_text(f"{text}{os.getpid()}")

    forks = run(Forks(lambda link: link.wait(60)))
    eventually(lambda: hasattr(forks, "process"))
    forks.process.join(120)
    assert (tmp_path / "pid").read_text() == f"from {forks.process.pid}"
    assert forks.process.pid != os.getpid()


def test_a_process_of_an_embedded_link_ends_with_it(run):
    class Forks(Ticks):
        def setup(self):
            self.process = self.launch_process(time.sleep, 600)

    forks = run(Forks(lambda link: link.wait(60)))
    eventually(lambda: hasattr(forks, "process"))
    assert forks.process.is_alive()
    forks.stop()
    assert forks.join(120)
    assert not forks.process.is_alive()
