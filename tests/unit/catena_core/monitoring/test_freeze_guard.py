"""A process in which no Python code runs any more ends."""

from __future__ import annotations

import atexit
import faulthandler
import queue
import subprocess
import sys
import threading

import pytest

from catena_core.monitoring.freeze_guard import FreezeGuard

# PyDLL keeps the interpreter to itself during the call, as Kafka's client does in some of its own.
_FROZEN = """
import ctypes
import threading
from catena_core.monitoring.freeze_guard import FreezeGuard

def ask_the_client():
    ctypes.PyDLL(None).sleep(600)

guard = FreezeGuard(1.0, threading.Event())
ask_the_client()
"""

_FROZEN_AT_THE_END = """
import atexit, ctypes, threading
from catena_core.monitoring.freeze_guard import FreezeGuard

atexit.register(ctypes.PyDLL(None).sleep, 600)
FreezeGuard(1.0, threading.Event()).close()
"""


def test_a_frozen_process_ends_and_shows_where_its_threads_are() -> None:
    done = subprocess.run([sys.executable, "-c", _FROZEN], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "Timeout (0:00:01)!" in done.stderr
    assert "in ask_the_client" in done.stderr


def test_a_process_that_freezes_while_its_interpreter_ends_does_end() -> None:
    program = [sys.executable, "-c", _FROZEN_AT_THE_END]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "Timeout (0:00:01)!" in done.stderr


def _timers(monkeypatch: pytest.MonkeyPatch) -> queue.SimpleQueue[float | None]:
    """Return the timers that are set from now on; ``None`` for a cancelled one."""
    timers: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def later(timeout: float, exit: bool) -> None:  # noqa: A002
        assert exit
        timers.put(timeout)

    monkeypatch.setattr(atexit, "register", lambda *_: None)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: timers.put(None))
    return timers


def test_the_end_is_put_off_while_python_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = _timers(monkeypatch)
    guard = FreezeGuard(600, threading.Event())
    assert [timers.get(timeout=120) for _ in range(3)] == [600, 600, 600]
    guard.close()
    while timers.get(timeout=120) is not None:
        pass


def test_a_link_that_is_to_end_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, stop = _timers(monkeypatch), threading.Event()
    guard = FreezeGuard(600, stop)
    assert timers.get(timeout=120) == 600
    stop.set()
    while (timer := timers.get(timeout=120)) == 600:
        pass
    assert timer == 60
    guard.close()


def test_without_a_standard_error_there_is_no_guard_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(_timeout: float, exit: bool) -> None:  # noqa: A002
        raise RuntimeError("sys.stderr is None")

    monkeypatch.setattr(atexit, "register", lambda *_: None)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    FreezeGuard(0.5, threading.Event()).close()
