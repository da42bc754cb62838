"""The clock of a link: the machine's, or in a test one that the driver moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

Launch = Callable[[Callable[[], None]], threading.Thread]

# The least seconds before code of a link that failed is called again: without a wait its error would fill the log.
AFTER_ERROR = 1.0


class Clock(Protocol):
    """Tells a link the time, and lets it wait."""

    def now(self) -> float:
        """Give the seconds since the Unix epoch."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Let time pass, but not beyond the moment when ``stop`` is set; return whether it is set."""

    def repeat(
        self, call: Callable[[], bool], interval: float, wait: bool, stop: threading.Event, launch: Launch
    ) -> threading.Thread:
        """Make a call every so many seconds until ``stop`` is set.

        Args:
            call: The call, which returns whether it succeeded; it must not raise.
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
        self, call: Callable[[], bool], interval: float, wait: bool, stop: threading.Event, launch: Launch
    ) -> threading.Thread:
        """Make the calls in a thread of their own."""

        def run() -> None:
            if wait:
                stop.wait(interval)
            while not stop.is_set():
                began = time.monotonic()
                wanted = interval if call() else max(interval, AFTER_ERROR)
                stop.wait(max(0.0, wanted - (time.monotonic() - began)))

        return launch(run)
