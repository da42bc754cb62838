"""A process in which no Python code runs any more ends."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import threading
from typing import Any

import pytest

from catena_core.monitoring.freeze_guard import FreezeGuard

# PyDLL keeps the interpreter to itself during the call, as Kafka's client does in some of its own.
_FROZEN = """
import ctypes
from catena_core.monitoring.freeze_guard import FreezeGuard

def ask_the_client():
    ctypes.PyDLL(None).sleep(600)

FreezeGuard(1.0)
ask_the_client()
"""


def test_a_frozen_process_ends_and_shows_where_its_threads_are() -> None:
    done = subprocess.run([sys.executable, "-c", _FROZEN], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "Timeout (0:00:01)!" in done.stderr
    assert "in ask_the_client" in done.stderr


def test_the_end_is_put_off_while_python_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    thrice, cancelled = threading.Event(), threading.Event()

    def later(timeout: float, exit: bool) -> None:  # noqa: A002
        calls.append((timeout, exit))
        if len(calls) == 3:
            thrice.set()

    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", cancelled.set)
    guard = FreezeGuard(0.5)
    assert thrice.wait(120)
    assert not cancelled.is_set()
    guard.close()
    assert cancelled.is_set()
    assert set(calls) == {(0.5, True)}


def test_without_a_standard_error_there_is_no_guard_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(_timeout: float, exit: bool) -> None:  # noqa: A002
        raise RuntimeError("sys.stderr is None")

    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    FreezeGuard(0.5).close()
