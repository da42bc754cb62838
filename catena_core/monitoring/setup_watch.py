"""The watch over a link's setup: it tells of one that hangs, and lets a link stop all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.watchdog import stacks

# Seconds between two looks.
_STEP = 0.2


class SetupWatch:
    """Watches the setup of a link for the length of a block.

    Args:
        logger: The link's log.
        timeout: Seconds that it may take before it counts as stuck.
        stop: Set when the link is to stop.
        grace: Seconds that it may go on then.
        interrupt: Interrupts it after these, and again after as many.
    """

    def __init__(
        self, logger: LinkLogger, timeout: float, stop: threading.Event, grace: float, interrupt: Callable[[], None]
    ) -> None:
        self._logger = logger
        self._timeout = timeout
        self._stop = stop
        self._grace = grace
        self._interrupt = interrupt
        self._began = 0.0
        self._is_stuck = False
        self._over = threading.Event()

    def __enter__(self) -> SetupWatch:
        self._began = time.monotonic()
        threading.Thread(target=self._watch, name="setup watch", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def problems(self) -> dict[str, str]:
        """Give the problem for the link's health, if it is stuck."""
        if not self._is_stuck or self._over.is_set():
            return {}
        return {"setup": f"setup has not returned for {time.monotonic() - self._began:.0f} s"}

    def _watch(self) -> None:
        interrupt_at: float | None = None
        while not self._over.wait(_STEP):
            now = time.monotonic()
            if not self._is_stuck and now - self._began > self._timeout:
                self._is_stuck = True
                self._logger.log(
                    f"setup has not returned for {self._timeout:g} s. All threads: {stacks()}",
                    level="error",
                    several_lines=True,
                )
            if not self._stop.is_set():
                continue
            if interrupt_at is not None and now > interrupt_at:
                self._logger.log("setup goes on though the link is to stop; interrupting it", level="warning")
                self._interrupt()
                interrupt_at = None
            interrupt_at = interrupt_at or now + self._grace
