"""The clock of a link: the machine's, or in a test one that the driver moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

Launch = Callable[[Callable[[], None]], threading.Thread]

# A call that is repeated; it returns the least seconds until the next one, where they may be more than the interval.
Repeated = Callable[[], float | None]


class Clock(Protocol):
    """Tells a link the time, and lets it wait."""

    def now(self) -> float:
        """Give the seconds since the Unix epoch."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Let time pass, but not beyond the moment when ``stop`` is set; return whether it is set."""

    def repeat(
        self, call: Repeated, interval: float, wait: bool, stop: threading.Event, launch: Launch
    ) -> threading.Thread:
        """Make a call every so many seconds until ``stop`` is set.

        Args:
            call: The call; it must not raise.
            interval: Seconds from the start of one call to that of the next.
            wait: Whether the first call comes only after the interval.
            stop: Set when it is to end.
            launch: Runs something in a thread.
        """


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        """Give the seconds since the Unix epoch."""
        return time.time()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Sleep, at most until ``stop`` is set."""
        return stop.wait(seconds)

    def repeat(
        self, call: Repeated, interval: float, wait: bool, stop: threading.Event, launch: Launch
    ) -> threading.Thread:
        """Make the calls in a thread of their own."""

        def run() -> None:
            if wait:
                stop.wait(interval)
            while not stop.is_set():
                began = time.monotonic()
                seconds = max(interval, call() or 0.0)
                stop.wait(max(0.0, seconds - (time.monotonic() - began)))

        return launch(run)
