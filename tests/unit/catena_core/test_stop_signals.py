"""The signals that stop a program: from wherever it is, and from a terminal that closes."""

import signal
import subprocess
import sys
import time

import pytest

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
