"""A task that repeats in a thread of its own, so that it delays no caller."""

from __future__ import annotations

import threading
from collections.abc import Callable


class PeriodicTask:
    """A thread that runs a function again and again.

    Args:
        run_once: The function. It returns the seconds until the next run.
        name: The thread's name.
    """

    def __init__(self, run_once: Callable[[], float], name: str) -> None:
        self._run_once = run_once
        self._woken = threading.Event()
        self._stopped = False
        # A daemon, since a node that hangs must not delay the end of the program.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the first run, unless the task has started already."""
        if not self._thread.ident:
            self._thread.start()

    def wake(self) -> None:
        """Run at once, or once more after the run under way."""
        self._woken.set()

    def stop(self) -> None:
        """Start no further run; a run under way is not waited for."""
        self._stopped = True
        self._woken.set()

    @property
    def stopped(self) -> bool:
        """True once the task was stopped, so that the result of a run is of no use."""
        return self._stopped

    def _run(self) -> None:
        while not self._stopped:
            self._woken.wait(self._run_once())
            self._woken.clear()
