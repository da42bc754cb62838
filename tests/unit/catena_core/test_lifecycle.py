"""The life of a link that needs no broker: it starts once, and ends cleanly, once, in whatever way."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from catena_core import Electron, Link
from catena_core.errors import CatenaError, UsageError
from tests.helpers.running import Ticks
from tests.helpers.waiting import eventually


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
