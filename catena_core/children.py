"""The child processes that a link's own code starts: they end with the link, however they were started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path

from catena_core.die_with_parent import on_parent_death

# Seconds for which children may end by themselves after SIGTERM, before SIGKILL.
GRACE = 3.0

# The variable by which processes are found whose parent, a shell perhaps, has ended: they are no descendants any more.
_MARK = "CATENA_PARENT"

_taken: set[int] = set()
# The process that forks: a child may start to look after its death.
_forking: list[int] = []


def signals_taken(numbers: Iterable[int]) -> None:
    """Note the signals that this process handles: a forked child would inherit the handlers and could not be ended.

    Args:
        numbers: The signals; a forked child gets their default action again, and ends when this process is gone.
    """
    if not _taken:
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
    _taken.update(numbers)


def mark() -> None:
    """Mark the programs that this process starts from now on as its own."""
    os.environ[_MARK] = f"{os.getpid()}-{time.time_ns()}"


def _marked() -> set[int]:
    wanted = f"{_MARK}={os.environ.get(_MARK)}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                found.add(int(entry.parent.name))
    return found - {os.getpid()}


def descendants() -> set[int]:
    """Give the process ids of this process' children, of their children, and so on, and of the programs with its mark."""
    parents: dict[int, int] = {child.pid: os.getpid() for child in multiprocessing.active_children() if child.pid}
    for entry in Path("/proc").glob("[0-9]*/stat"):  # elsewhere than on Linux there are those of multiprocessing only
        with suppress(OSError, ValueError, IndexError):
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.parent.name)] = int(parent)
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return (found | _marked()) - {os.getpid()}


def end(known: set[int]) -> None:
    """End all descendants of this process: by SIGTERM and, where that does not do, by SIGKILL.

    Args:
        known: Descendants to leave alone.
    """
    # This one cleans up after the others, and ends when all of them are gone.
    tracker = getattr(getattr(resource_tracker, "_resource_tracker", None), "_pid", None)
    # One whose parent has ended is no descendant any more, and may go on after SIGTERM.
    found: dict[int, str] = {}
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        deadline = time.monotonic() + seconds
        found |= {child: _started_at(child) for child in descendants() - known - {tracker}}
        for child in _living(found):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, number)
        while _living(found) and time.monotonic() < deadline:
            time.sleep(0.02)


def _living(found: Mapping[int, str]) -> set[int]:
    """Return those of some descendants that live, by the time of their start: the system uses process ids again."""
    current = descendants()
    return {
        pid for pid, started_at in found.items() if (_started_at(pid) == started_at if started_at else pid in current)
    }


def _started_at(pid: int) -> str:
    """Return when a process started, in the words of /proc; empty if it has ended, or there is no /proc."""
    with suppress(OSError, IndexError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    return ""


def _before_fork() -> None:
    _forking[:] = [os.getpid()]


def _after_fork() -> None:
    for number in _taken:
        with suppress(ValueError, OSError):
            signal.signal(number, signal.SIG_DFL)
    on_parent_death(lambda: os._exit(1), parent=_forking[0])
