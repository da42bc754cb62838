"""End a process when the one that started it dies, however it dies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

# Seconds between two looks at the parent.
_INTERVAL = 1.0


def on_parent_death(
    call: Callable[[], None], interval: float = _INTERVAL, parent: int | None = None
) -> threading.Thread:
    """Make a call, in a thread of its own, once the parent of this process is dead.

    It compares parents and asks the kernel for no signal (PR_SET_PDEATHSIG), which comes already when the parent's thread
    ends that started this process.

    Args:
        call: The call, for instance ``stop.set``.
        interval: Seconds between two looks at the parent.
        parent: The parent's process id, where it is known; it may be dead by now. ``None`` asks for the present one.
    """
    known = os.getppid() if parent is None else parent
    thread = threading.Thread(target=_wait, args=(known, call, interval), name="parent", daemon=True)
    thread.start()
    return thread


def _wait(parent: int, call: Callable[[], None], interval: float) -> None:
    while os.getppid() == parent:
        time.sleep(interval)
    call()
