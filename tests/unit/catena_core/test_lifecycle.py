"""The life of a link that needs no broker: what runs in it, and that it ends cleanly, once, in whatever way."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from catena_core import Electron, Link
from catena_core.errors import CatenaError, DeliveryError, UsageError
from tests.helpers.running import Running
from tests.helpers.waiting import eventually


@pytest.fixture
def run():
    """Run links in threads, and stop them at the end of the test."""
    running = Running()
    yield running
    running.close()


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


@pytest.mark.parametrize("value", [["a", "b"], "text", Electron("k", "v"), 0])
def test_a_value_that_a_generator_returns_is_told_once_and_harms_nothing(run, capsys, value):
    class Returns(Ticks):
        def generator(self):
            super().generator()
            return value

    ticks = run(Returns(lambda link: time.sleep(0.001)))
    eventually(lambda: ticks.calls > 3)
    run.stop(ticks)
    told = [line for line in capsys.readouterr().err.splitlines() if "which is not sent" in line]
    assert len(told) == 1 and ticks.status == 0
    assert "WARNING" in told[0] and f"Returns.generator returned a value of type {type(value).__name__}" in told[0]
    assert "self.send()" in told[0]


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


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3), ("no credentials", 1)])
@pytest.mark.parametrize("where", ["generator", "loop", "thread", "setup", "finish"])
def test_sys_exit_ends_the_link_with_its_status(run, where, code, status):
    class Exits(Link):
        def leave(self):
            sys.exit(code)

        def setup(self):
            if where == "setup":
                self.leave()
            if where == "loop":
                self.loop(self.leave, interval=60)
            if where == "thread":
                self.launch_thread(self.leave)

        def generator(self):
            if where == "generator":
                self.leave()
            if where == "finish":
                self.stop()
            self.wait(600)

        def finish(self):
            if where == "finish":
                self.leave()

    exits = run(Exits())
    assert exits.join(120)
    eventually(lambda: exits.status == status, message=lambda: f"status {exits.status}")


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


def test_an_error_in_setup_that_is_no_exception_is_the_reason_of_the_end(run):
    class Cancelled(Link):
        def setup(self):
            raise asyncio.CancelledError

        def generator(self):
            self.wait(600)

    with pytest.raises(CatenaError, match="CancelledError"):
        Cancelled().start(embedded=True)


def test_a_hosted_link_that_cannot_start_says_why_to_its_program():
    class Reads(Link):
        def transform(self, electron):
            return None

    with pytest.raises(UsageError, match="no Kafka endpoint"):
        Reads(input_topics="in").start(embedded=True)


def test_a_link_is_started_once_and_a_second_start_is_refused_and_harms_nothing():
    ticks = Ticks(lambda link: link.wait(60))
    ticks.start(embedded=True)
    with pytest.raises(UsageError, match="this Ticks was started before; make another one"):
        ticks.start(embedded=True)
    assert ticks.failure is None and not ticks.stopping
    ticks.stop()
    assert ticks.join(120)
    for start in (lambda: ticks.start(embedded=True), lambda: ticks.start(arguments=[])):
        with pytest.raises(UsageError, match="was started before"):
            start()
    assert (ticks.calls, ticks.finished) == (1, 1)


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
    assert (loops.times[5] - loops.times[0]) / 5 >= 0.09, "from the start of one call to that of the next"
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


INTERRUPTED = """
import signal
from catena_core import Electron, Link

class Waits(Link):
    def setup(self):
        with self._catena.stop._cond:  # as in the middle of a wait for the stop
            signal.raise_signal(signal.SIGTERM)

    def generator(self):
        self.wait(600)

Waits(num_rpc_threads=0).start()
"""


@pytest.mark.slow
def test_a_signal_that_interrupts_a_wait_for_the_stop_ends_the_link(tmp_path):
    program = tmp_path / "interrupted.py"
    program.write_text(INTERRUPTED)
    assert subprocess.run([sys.executable, str(program)], timeout=120, stderr=subprocess.DEVNULL).returncode == 0


HANGS = """
import socket, time
from catena_core import Link

class Hangs(Link):
    drain_timeout = 0.2

    def setup(self):
        print("hangs", flush=True)
        while True:
            try:
                {waits}
            except Exception as error:
                print(error, flush=True)

    def generator(self):
        print("never", flush=True)

    def finish(self):
        print("finished", flush=True)

Hangs().start()
"""


@pytest.mark.parametrize(
    "waits", ["time.sleep(3600)", "socket.create_server(('127.0.0.1', 0)).accept()", "sum(range(1000))"]
)
def test_a_signal_ends_a_link_whose_setup_hangs(tmp_path, waits):
    (tmp_path / "link.py").write_text(HANGS.format(waits=waits))
    with subprocess.Popen(
        [sys.executable, tmp_path / "link.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"hangs\n"
        process.terminate()
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, b"finished\n")
    assert b"setup goes on though the link is to stop; interrupting it" in err


def test_the_end_waits_for_what_was_sent_only_as_long_as_for_electrons():
    class Short(Ticks):
        drain_timeout = 0.05

    lifecycle = Short(lambda link: None)._catena
    arrived = threading.Event()
    lifecycle.stop.set()
    assert not lifecycle.await_arrival(arrived)
    arrived.set()
    assert lifecycle.await_arrival(arrived)


HANGS_AT_ITS_END = """
import threading, time
from catena_core import Link
from catena_core.monitoring import end_watch, exit_watch
from catena_core import processes

end_watch._TOLD_AFTER = exit_watch._TOLD_AFTER = 0.1
end_watch._INTERRUPTED_AFTER = 0.5
processes._ENDING = 5.0

class Hangs(Link):
    drain_timeout = 0.2

    def hang(self):
        while True:
            try:
                time.sleep(3600)
            except {caught}:
                pass

    def setup(self):
        {setup}

    def generator(self):
        self.stop()

    def finish(self):
        print("finishing", flush=True)
        {finish}

Hangs().start()
"""

PASS = "pass"  # of those parts of a link that do nothing


@pytest.mark.parametrize(
    ("setup", "finish", "caught", "told"),
    [
        (PASS, "self.hang()", "Exception", "finish goes on though the link is to stop; interrupting it"),
        (PASS, "self.hang()", "BaseException", "finish hangs, and the link ends without it"),
        ("threading.Thread(target=self.hang, name='uploads').start()", PASS, "Exception", "it waits for uploads"),
        (
            "from concurrent.futures import ThreadPoolExecutor as Pool; Pool(1, 'pool').submit(self.hang)",
            PASS,
            "Exception",
            "it waits for pool_0",
        ),
        ("import atexit; atexit.register(self.hang)", PASS, "Exception", "it waits for a function of atexit"),
    ],
)
def test_an_end_that_hangs_is_told_with_its_stack_and_ends_all_the_same(tmp_path, setup, finish, caught, told):
    (tmp_path / "link.py").write_text(HANGS_AT_ITS_END.format(setup=setup, finish=finish, caught=caught))
    with subprocess.Popen(
        [sys.executable, tmp_path / "link.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out) == (1, b"finishing\n")
    assert told in err.decode() and "in hang" in err.decode()


def test_a_link_within_a_program_is_given_up_where_its_finish_hangs(monkeypatch):
    monkeypatch.setattr("catena_core.monitoring.end_watch.longest_end", lambda drain_timeout: 0.2)
    returns = threading.Event()

    class Hangs(Link):
        def generator(self):
            self.stop()

        def finish(self):
            returns.wait()

    hangs = Hangs()
    hangs.start(embedded=True)
    assert hangs.join(120)
    assert "finish hangs" in str(hangs.failure)
    returns.set()


WAITS = """
from catena_core import Link

class Waits(Link):
    def generator(self):
        print("waits", flush=True)
        self.wait(600)

    def finish(self):
        print("finished", flush=True)

Waits().start()
"""


@pytest.fixture
def waiting(tmp_path):
    """Start a link that waits, and prints when it finishes."""
    (tmp_path / "link.py").write_text(WAITS)
    started = []

    def start(*command):
        program = [*command, sys.executable, tmp_path / "link.py"]
        started.append(
            subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
            )
        )
        assert started[-1].stdout.readline() == b"waits\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_link_whose_terminal_closes_ends_cleanly(waiting):
    process = waiting()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, b"finished\n")
    assert b"stopping: SIGHUP" in err


def test_a_link_that_is_to_outlive_its_terminal_does(waiting):
    process = waiting("nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    process.terminate()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, b"finished\n")
    assert b"stopping: SIGTERM" in err
