"""Processes that restart when they die: their lines, their restarts, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from catena_core.errors import CatenaError
from tests.helpers.waiting import eventually
from topology.runner import managed_process as module
from topology.runner.managed_process import ManagedProcess

SERVES = "import time; print('listening on 127.0.0.1:7', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, lambda *_: None); {SERVES}"


class Clock:
    """The time of the module, which a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Managing:
    """Processes that run a program of a test, and their lines."""

    def __init__(self, directory: Path) -> None:
        self.lines: list[tuple[str, str]] = []
        self._directory = directory
        self._made: list[ManagedProcess] = []

    def start(self, program: str) -> ManagedProcess:
        """Start a program by Python alone, which takes a fraction of the time of a module with all of Catena."""
        process = self._make("none")
        process._command = [sys.executable, "-I", "-S", "-c", program]
        process.start()
        return process

    def start_module(self, program: str, *arguments: str) -> ManagedProcess:
        (self._directory / "program_of_test.py").write_text(program)
        process = self._make("program_of_test", *arguments)
        process.start()
        return process

    def _make(self, module: str, *arguments: str) -> ManagedProcess:
        path = os.pathsep.join([str(self._directory), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path}
        process = ManagedProcess("link", module, arguments, environment, lambda *line: self.lines.append(line))
        self._made.append(process)
        return process

    def died(self, process: ManagedProcess) -> None:
        eventually(lambda: not process.is_running)

    def warnings(self) -> list[str]:
        return [line for _, line in self.lines if line.startswith(("WARNING", "ERROR"))]

    def close(self) -> None:
        for process in self._made:
            process.end(0)


@pytest.fixture
def managing(tmp_path: Path) -> Iterator[Managing]:
    managing = Managing(tmp_path)
    yield managing
    managing.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_lines_of_both_streams_are_told_with_the_name(managing: Managing) -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.buffer.write(b'\\xff\\n')"
    process = managing.start(program)
    eventually(lambda: len(managing.lines) == 3)
    assert process.end(120)
    assert sorted(managing.lines) == [("link", "err"), ("link", "out"), ("link", "\ufffd")]


def test_the_module_gets_its_arguments_as_by_python_m(managing: Managing) -> None:
    managing.start_module("import sys; print(__name__, sys.argv[1:])", "-k", "a:1")
    eventually(lambda: ("link", "__main__ ['-k', 'a:1']") in managing.lines)


def test_a_server_is_waited_for_until_it_says_where_it_listens(managing: Managing) -> None:
    process = managing.start(f"print('warming up'); {SERVES}")
    assert process.wait_for_line("listening on ", 120) == "127.0.0.1:7"
    assert process.wait_for_line("listening on ", 0) == "127.0.0.1:7"


def test_a_server_that_dies_instead_is_not_waited_for_and_its_lines_are_told(managing: Managing) -> None:
    process = managing.start("raise SystemExit('no such port')")
    managing.died(process)
    eventually(lambda: managing.lines)
    with pytest.raises(CatenaError, match="link did not start:\nno such port"):
        process.wait_for_line("listening on ", 600)


def test_a_server_that_says_nothing_is_given_up(managing: Managing) -> None:
    process = managing.start("import time; time.sleep(600)")
    with pytest.raises(CatenaError, match="link did not start"):
        process.wait_for_line("listening on ", 0)


def test_a_process_that_runs_is_left_alone_and_one_that_never_started_too(managing: Managing) -> None:
    process = managing.start(SERVES)
    first = process.pid
    process.restart_if_dead()
    assert (process.pid, process.restarts) == (first, 0)
    idle = ManagedProcess("idle", "none", [], {}, lambda *_: None)
    idle.restart_if_dead()
    idle.signal_stop()
    assert (idle.pid, idle.is_running, idle.end(0)) == (0, False, True)


def test_a_dead_process_restarts_at_once_and_then_after_waits_that_double(managing: Managing, clock: Clock) -> None:
    process = managing.start("raise SystemExit('lost its disk')")
    waits = []
    for restarts in range(1, 5):
        managing.died(process)
        eventually(lambda: process._lines)
        died_at = clock.now
        process.restart_if_dead()
        while process.restarts < restarts:
            assert len(managing.warnings()) == restarts, "each death gives one warning"
            clock.now += 0.25
            process.restart_if_dead()
        waits.append(clock.now - died_at)
    assert waits == [0, 1, 2, 4]
    assert managing.warnings()[0] == "WARNING died with status 1 (lost its disk), starting it again"
    assert managing.warnings()[1] == "WARNING died with status 1 (lost its disk), again in 1 s"
    failure = "died 4 times in a row, the last time with status 1 (lost its disk)"
    assert ("link", f"ERROR {failure}, again in 4 s") in managing.lines
    assert process.failure == failure


def test_a_process_that_refuses_its_options_is_not_restarted(managing: Managing) -> None:
    process = managing.start("import sys; sys.stderr.write('No such option: --colour'); sys.exit(2)")
    managing.died(process)
    eventually(lambda: managing.lines)
    with pytest.raises(CatenaError, match="link did not start: No such option: --colour"):
        process.restart_if_dead()
    assert process.restarts == 0


def test_waits_are_bounded(managing: Managing, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_WAIT", 1.5)
    process = managing.start("raise SystemExit(1)")
    for _ in range(4):
        managing.died(process)
        process.restart_if_dead()
        clock.now += 1.5
        process.restart_if_dead()
    assert process.restarts == 4


def test_a_process_that_was_stable_restarts_at_once_again(managing: Managing, clock: Clock) -> None:
    process = managing.start("raise SystemExit(1)")
    for restarts in (1, 2):
        managing.died(process)
        clock.now += module._STABLE_AFTER + 1
        process.restart_if_dead()
        assert process.restarts == restarts


def test_a_process_that_ran_long_since_its_deaths_is_not_failing(managing: Managing, clock: Clock) -> None:
    process = managing.start("raise SystemExit(1)")
    for restarts in (1, 2, 3):
        managing.died(process)
        if restarts == 3:
            process._command = [sys.executable, "-I", "-S", "-c", SERVES]
        while process.restarts < restarts:
            process.restart_if_dead()
            clock.now += 1
    assert process.is_running and process.failure
    clock.now += module._STABLE_AFTER + 1
    assert not process.failure


def test_a_signal_that_ended_a_process_is_named_without_its_last_line(managing: Managing) -> None:
    process = managing.start(SERVES)
    process.wait_for_line("listening", 120)
    os.kill(process.pid, signal.SIGKILL)
    managing.died(process)
    process.restart_if_dead()
    assert managing.warnings() == ["WARNING died with signal SIGKILL, starting it again"]


def test_a_process_that_ends_when_it_is_asked_to_ends_by_itself(managing: Managing) -> None:
    process = managing.start(SERVES)
    process.wait_for_line("listening", 120)
    process.signal_stop()
    assert process.end(120)
    assert not process.is_running


def test_one_that_does_not_end_is_killed_with_its_children(managing: Managing) -> None:
    child = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).pid, flush=True)"
    process = managing.start(f"{child}; {STUBBORN}")
    process.wait_for_line("listening", 120)
    (pid,) = [int(line) for _, line in managing.lines if line.isdigit()]
    process.signal_stop()
    assert not process.end(0.01)
    assert not process.is_running
    eventually(lambda: not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text())


def test_lines_of_a_process_that_has_ended_are_read_to_their_end(
    managing: Managing, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read, follow = threading.Event(), ManagedProcess._follow

    def follow_late(process: ManagedProcess, child: subprocess.Popen[str]) -> None:
        assert may_read.wait(120)
        follow(process, child)

    monkeypatch.setattr(ManagedProcess, "_follow", follow_late)
    monkeypatch.setattr(module, "_LAST_LINES", 120)
    process = managing.start("print('listening on 127.0.0.1:7', flush=True)")
    managing.died(process)
    threading.Timer(0.3, may_read.set).start()

    assert process.wait_for_line("listening on ", 120) == "127.0.0.1:7"


def test_ctrl_c_of_a_terminal_reaches_the_runner_alone(managing: Managing) -> None:
    process = managing.start("import os; print('listening as', os.getsid(0) == os.getpid(), flush=True)")
    assert process.wait_for_line("listening as ", 120) == "True"
