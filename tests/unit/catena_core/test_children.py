"""The child processes of a link end with it, however they were started and however it ends."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from catena_core import children
from tests.helpers.waiting import eventually

FORKS = """
import os, subprocess, sys, time, multiprocessing
from catena_core import Link

def work():
    time.sleep(600)

class Parent(Link):
    def setup(self):
        way = self.args[0]
        if way == "launch_process":
            child = self.launch_process(work).pid
        elif way == "fork":
            child = os.fork()
            if not child:
                work()
        elif way == "orphan":
            child = int(subprocess.check_output("sleep 600 >/dev/null & echo $!", shell=True))
        elif way == "shell":
            child = subprocess.Popen("sleep 600; true", shell=True).pid
        else:
            process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
            process.start()
            child = process.pid
        print(child, flush=True)

    def generator(self):
        self.wait(600)

if __name__ == "__main__":
    Parent(num_rpc_threads=0).start()
"""


def _is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("way", ["launch_process", "fork", "shell", "orphan", "spawn"])
def test_child_processes_end_with_the_link(tmp_path, way):
    program = tmp_path / "parent.py"
    program.write_text(FORKS)
    started = subprocess.Popen([sys.executable, str(program), way], stdout=subprocess.PIPE, text=True)
    child = int(started.stdout.readline())
    started.send_signal(signal.SIGTERM)
    assert started.wait(120) == 0
    started.stdout.close()
    eventually(lambda: not _is_alive(child))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["launch_process", "fork"])
def test_forked_children_end_when_the_link_is_killed(tmp_path, way):
    program = tmp_path / "parent.py"
    program.write_text(FORKS)
    started = subprocess.Popen([sys.executable, str(program), way], stdout=subprocess.PIPE, text=True)
    child = int(started.stdout.readline())
    started.kill()
    started.wait(120)
    started.stdout.close()
    eventually(lambda: not _is_alive(child))


SLEEPS = "import time; print(flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, lambda *_: None); {SLEEPS}"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


class Started:
    """Processes of a test; each has printed its first line."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[str]] = []

    def __call__(self, program: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        self._all.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    def close(self) -> None:
        for process in self._all:
            process.kill()
            process.wait(120)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    started.close()


def test_children_of_children_are_descendants_and_dead_ones_are_not(start: Started) -> None:
    parent, line = start(PARENT)
    try:
        dead, _ = start("print()")
        eventually(lambda: not _is_alive(dead.pid))
        assert {parent.pid, int(line)} <= children.descendants()
        assert not {dead.pid, os.getpid()} & children.descendants()
    finally:
        os.kill(int(line), signal.SIGKILL)  # it would outlive its parent


def test_a_name_like_the_rest_of_its_line_hides_no_child(tmp_path: pathlib.Path, start: Started) -> None:
    """In /proc a process is its name, in parentheses, and numbers after it; the name may hold either."""
    child, _ = start(f"open('/proc/self/comm', 'w').write('x) Z 1 2')\n{SLEEPS}")
    assert child.pid in children.descendants()


def test_those_that_were_there_before_are_left_alone(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "GRACE", 120)
    other, _ = start(SLEEPS)
    known = children.descendants()
    child, _ = start(SLEEPS)
    children.end(known)
    assert child.wait(120) == -signal.SIGTERM
    assert other.poll() is None


def test_one_that_goes_on_after_sigterm_is_killed(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    known = children.descendants()
    child, _ = start(STUBBORN)
    monkeypatch.setattr(children, "GRACE", 0.05)
    children.end(known)
    assert child.wait(120) == -signal.SIGKILL


def test_one_that_goes_on_after_its_parent_is_killed_too(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once SIGTERM has ended its parent, it is no descendant of the link any more."""
    known = children.descendants()
    _, line = start(PARENT)
    monkeypatch.setattr(children, "GRACE", 0.5)
    children.end(known)
    eventually(lambda: not _is_alive(int(line)))


def test_a_process_without_children_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "GRACE", float("inf"))
    children.end(children.descendants())


FORKED = """
import os, signal, time
from catena_core import children
signal.signal(signal.SIGTERM, lambda *_: None)
children.signals_taken([signal.SIGTERM])
ready, child_is_ready = os.pipe()
child = os.fork()
if not child:
    os.write(child_is_ready, b"!")
    time.sleep(600)
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_can_be_ended_though_its_parent_takes_the_signal(start: Started) -> None:
    """The parent's handler would be the child's, and do nothing there."""
    _, status = start(FORKED)
    assert int(status) == -signal.SIGTERM
