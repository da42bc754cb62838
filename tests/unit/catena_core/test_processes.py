"""``--processes N``: children that are ended together, whoever dies, and take ports of their own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from catena_core import processes
from catena_core.options import LinkOptions
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.slow

# Needs no Kafka: it only generates.
PROGRAM = """
import os, signal, sys, time
from catena_core import Link, processes

processes._ENDING = float(os.environ.get("ENDING", "60"))

def say(line):
    os.write(1, line.encode())  # in one piece: several write into one pipe

class Ticks(Link):
    def generator(self):
        say(f"child {os.environ['CATENA_PROCESS']} {os.getpid()} {self.args}\\n")
        self.wait(120)

    def finish(self):
        say(f"finished {os.getpid()}\\n")
        if os.environ["CATENA_PROCESS"] in self.args:
            if "stopped" in self.args:
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)

Ticks(num_rpc_threads=0).start()
"""


class Started:
    """A program with several processes; what its children print is collected."""

    def __init__(self, count, *arguments):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--processes", str(count), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._count = count
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def all_running(self):
        return len(self.children) == self._count

    @property
    def children(self):
        found = [re.fullmatch(r"child (\d+) (\d+) .*", line) for line in list(self.lines)]
        return {int(match[1]): int(match[2]) for match in found if match}

    def finished(self):
        return sorted(int(line.split()[1]) for line in list(self.lines) if line.startswith("finished"))

    def says(self, words):
        return any(words in line for line in list(self.lines))

    def alive(self):
        return [pid for pid in self.children.values() if _runs(pid)]


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def start():
    started = []

    def start(*arguments):
        program = Started(*arguments)
        started.append(program)
        eventually(program.all_running, message=lambda: "\n".join(program.lines))
        return program

    yield start
    for program in started:
        for pid in [program.process.pid, *program.children.values()]:
            if _runs(pid):
                os.kill(pid, signal.SIGKILL)
        program.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_first_ends_all_of_them_cleanly(start, number):
    program = start(2, "--", "further", "--arguments")
    assert sorted(program.children) == [1, 2]
    assert all("['further', '--arguments']" in line for line in program.lines if line.startswith("child"))
    program.process.send_signal(number)
    assert program.process.wait(120) == 0
    assert program.alive() == []
    eventually(lambda: program.finished() == sorted(program.children.values()))


def test_when_one_dies_the_others_are_ended_and_the_status_tells(start):
    program = start(3)
    os.kill(program.children[2], signal.SIGKILL)
    assert program.process.wait(120) == 1
    assert program.alive() == []
    others = sorted(pid for number, pid in program.children.items() if number != 2)
    eventually(lambda: program.finished() == others)
    eventually(lambda: program.says("ended with status 0, -9, 0"))


def test_when_the_first_is_killed_its_children_end_cleanly(start):
    program = start(2)
    program.process.kill()
    eventually(lambda: program.finished() == sorted(program.children.values()))


@pytest.mark.parametrize("dies", ["asked", "another"])
@pytest.mark.parametrize("hangs", ["asleep", "stopped"])
def test_one_that_hangs_at_its_end_ends_itself_or_is_killed(start, monkeypatch, dies, hangs):
    monkeypatch.setenv("ENDING", "1")
    program = start(2, "--", "2", hangs)
    if dies == "another":
        os.kill(program.children[1], signal.SIGKILL)
    else:
        program.process.terminate()
    assert program.process.wait(120) == 1
    assert program.alive() == []
    first, second = (0 if dies == "asked" else -9), (1 if hangs == "asleep" else -9)
    eventually(lambda: program.says(f"ended with status {first}, {second}"))
    assert program.says(f"process {program.children[2]} hangs") is (hangs == "stopped")
    assert program.says("finish hangs, and the link ends without it") is (hangs == "asleep")


def test_when_the_first_is_killed_one_that_hangs_at_its_end_ends(start, monkeypatch):
    monkeypatch.setenv("ENDING", "1")
    program = start(2, "--", "2")
    program.process.kill()
    eventually(lambda: program.alive() == [])


def test_a_program_that_names_its_arguments_itself_starts_each_process_once(start, monkeypatch):
    monkeypatch.setattr(
        sys.modules[__name__], "PROGRAM", PROGRAM.replace(".start()", ".start(arguments=['--processes', '2'])")
    )
    program = start(2)
    program.process.terminate()
    assert program.process.wait(120) == 0
    assert sorted(program.children) == [1, 2]


def test_each_takes_the_next_ports(monkeypatch):
    options = LinkOptions(metrics_port=9100, rpc_port=9200)
    ports = []
    for number in ("1", "2", "3"):
        monkeypatch.setenv(processes.NUMBER, number)
        own = processes.own_options(options)
        ports.append((own.metrics_port, own.rpc_port))
    assert ports == [(9100, 9200), (9101, 9201), (9102, 9202)]
    # 0 is any free port for each of them.
    assert processes.own_options(LinkOptions(metrics_port=0)).metrics_port == 0
    monkeypatch.delenv(processes.NUMBER)
    assert processes.own_options(options) == options


def test_a_child_that_cannot_start_ends_all_of_them():
    # Both of their ports, since the first child to fail may be either, and has the other ended.
    with two_adjacent_ports() as (first, second):
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--processes", "2", "--metrics-port", str(first)],
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert ended.returncode == 1
    assert re.search(
        f"cannot serve metrics on port ({first}|{second}) .*choose another with --metrics-port", ended.stderr
    )


@contextlib.contextmanager
def two_adjacent_ports():
    """Hold a port and the one after it, so that nothing else can be served there."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as one:
            number = one.getsockname()[1]
            try:
                other = socket.create_server(("127.0.0.1", number + 1))
            except (OSError, OverflowError):
                continue
            with other:
                yield number, number + 1
                return
    raise AssertionError("no two adjacent ports are free")
