"""Waiting for what comes about by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(
    condition: Callable[..., Any], timeout: float = 120.0, message: str | Callable[[], str] = "it did not come about"
) -> Any:
    """Wait until something holds, and return what it returned.

    Args:
        condition: Called again and again until it returns something true.
        timeout: Seconds after which the test fails; the default suits a machine ten times slower than most.
        message: What it says then, or a function that tells.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(message() if callable(message) else message)


def eventually_works(pid: int) -> None:
    """Wait until a process is busy: it has used a fifth of a second of a processor's time from now on."""
    before = _ticks(pid)
    eventually(lambda: _ticks(pid) - before >= 20, message="the process does nothing")


def _ticks(pid: int) -> int:
    """Read the processor time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
