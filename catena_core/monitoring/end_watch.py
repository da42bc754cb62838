"""The watch over a link's end: it tells of a step that hangs, and sees to it that the link ends all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.watchdog import stacks
from catena_core.processes import longest_end

# Seconds between two looks.
_STEP = 0.2

# Seconds beyond the drain timeout after which a step is told of, and interrupted.
_TOLD_AFTER = 5.0
_INTERRUPTED_AFTER = 45.0

FINISH = "finish"


class EndWatch:
    """Watches the steps of a link's end, from the moment that the link is to stop.

    A step that has not returned some seconds beyond the drain timeout is told of once, with the stacks of all threads, which
    name the line. The hook ``finish`` is interrupted before the time of :func:`catena_core.processes.longest_end` is over;
    after that the link is given up.

    Args:
        logger: The link's log.
        stop: Set when the link is to stop.
        drain_timeout: Seconds for electrons under way.
        interrupt: Interrupts the finish; ``None`` where it cannot be.
        give_up: Ends the link without the step that it is given.
    """

    def __init__(
        self,
        logger: LinkLogger,
        stop: threading.Event,
        drain_timeout: float,
        interrupt: Callable[[], None] | None,
        give_up: Callable[[str], None],
    ) -> None:
        self._logger = logger
        self._stop = stop
        self._told_after = drain_timeout + _TOLD_AFTER
        self._interrupted_after = drain_timeout + _INTERRUPTED_AFTER
        self._given_up_after = longest_end(drain_timeout)
        self._interrupt = interrupt
        self._give_up = give_up
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.begin("setup")
        threading.Thread(target=self._watch, name="end watch", daemon=True).start()

    def begin(self, step: str) -> None:
        """Note that the step before has returned, and another one begins."""
        with self._lock:
            self._step, self._began = step, time.monotonic()
            self._is_told = self._is_interrupted = False

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _watch(self) -> None:
        self._stop.wait()
        with self._lock:
            self._began = time.monotonic()
        while not self._over.wait(_STEP):
            with self._lock:
                step, seconds = self._step, time.monotonic() - self._began
                tells = seconds > self._told_after and not self._is_told
                interrupts = seconds > self._interrupted_after and not self._is_interrupted and step == FINISH
                self._is_told |= tells
                self._is_interrupted |= interrupts
            if tells:
                self._logger.log(
                    f"{step} has not returned for {seconds:.0f} s, though the link is to stop. All threads: {stacks()}",
                    level="error",
                    several_lines=True,
                )
            if interrupts and self._interrupt is not None:
                self._logger.log(f"{step} goes on though the link is to stop; interrupting it", level="warning")
                self._interrupt()
            if seconds > self._given_up_after:
                self._logger.log(f"{step} hangs, and the link ends without it", level="error")
                self._give_up(step)
                return
