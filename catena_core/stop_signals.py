"""The signals that stop a link which is a program of its own, and by which its end interrupts a hook."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any

from catena_core import children
from catena_core.mistakes import run_plain
from catena_core.monitoring.logs import LinkLogger


class StopSignals:
    """Takes the signals of a program, and hands them to a thread of its own.

    A handler interrupts the main thread wherever it is, maybe within a lock that ``stop`` or the log wants. So it takes none.

    Args:
        stop: Set when a signal asks for the end.

    Attributes:
        can_interrupt: Whether :meth:`interrupt` can end a hook: signals are taken, and Python can send one to a thread.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._taken: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._asks: set[int] = set()
        self._is_interruptible = self._is_interrupting = False
        self.can_interrupt = False

    def take(self, logger: LinkLogger) -> None:
        """Take SIGTERM, SIGINT, SIGQUIT and SIGHUP from now on, in the main thread; elsewhere do nothing.

        Args:
            logger: The log, which names the signal.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGQUIT") if hasattr(signal, name)]
        # `nohup` and the author of the link may mean something else by it.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            numbers.append(signal.SIGHUP)
        # Managers of processes send SIGTERM more than once, and SIGKILL in the end; a terminal that closes sends SIGHUP so.
        self._asks = {number for number in numbers if signal.Signals(number).name in ("SIGINT", "SIGQUIT")}
        threading.Thread(target=self._heed, args=(logger,), name="signals", daemon=True).start()
        for number in numbers:
            signal.signal(number, self._handle)
        children.signals_taken(numbers)
        self.can_interrupt = hasattr(signal, "pthread_kill")

    def interruptible(self, hook: Callable[[], object]) -> None:
        """Call a hook that :meth:`interrupt` can end."""
        self._is_interruptible = True
        try:
            run_plain(hook)
        finally:
            self._is_interruptible = False

    def interrupt(self) -> None:
        """Have the handler end a hook that runs in the main thread, if it can."""
        main = threading.main_thread().ident
        if self.can_interrupt and main is not None:
            self._is_interrupting = True
            signal.pthread_kill(main, signal.SIGTERM)

    def _heed(self, logger: LinkLogger) -> None:
        while number := self._taken.get():
            if not self._stop.is_set():
                logger.log(f"stopping: {signal.Signals(number).name}")
                self._stop.set()
            elif number in self._asks:
                os._exit(128 + number)  # asked twice, by Ctrl-C: do not wait for the drain

    def _handle(self, number: int, _frame: Any) -> None:
        if self._is_interrupting:
            self._is_interrupting = False
            if self._is_interruptible:
                raise SystemExit
            return
        self._taken.put(number)
