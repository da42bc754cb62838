"""The freeze guard: it ends a process in which no Python code runs any more."""

from __future__ import annotations

import atexit
import faulthandler
import threading
from contextlib import suppress

_STOPPING = 60.0
_PUT_OFF_EVERY = 1.0


class FreezeGuard:
    """Ends the process, with the stacks of all threads, once none of them has run Python code for long.

    Native code that waits for ever and keeps the interpreter to itself (its GIL) stops every thread: the process serves no
    health, heeds no signal, and looks alive. Kafka's client does so when it has locked itself up
    (:mod:`catena_core.kafka.statistics`) and is asked something. The timer is a native thread of `faulthandler`, which needs no
    interpreter; a thread puts it off again and again.

    Args:
        timeout: Seconds; a process that was stopped for longer (SIGSTOP) ends as well when it goes on.
        stop: Set when the link is to end. From then on a minute is the most: a supervisor waits for the end.
    """

    def __init__(self, timeout: float, stop: threading.Event) -> None:
        self._timeout = timeout
        self._stop = stop
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._guard, name="freeze guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Guard no longer, until the end of the interpreter: Kafka's clients that end with it wait for their threads."""
        self._closed.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()
        atexit.register(self._set_timer, min(self._timeout, _STOPPING))

    def _guard(self) -> None:
        while not self._closed.is_set():
            stops = self._stop.is_set()
            self._set_timer(min(self._timeout, _STOPPING) if stops else self._timeout)
            (self._closed if stops else self._stop).wait(_PUT_OFF_EVERY)

    def _set_timer(self, seconds: float) -> None:
        # A standard error that is closed takes no stacks; there is no guard then.
        with suppress(OSError, RuntimeError, ValueError):
            faulthandler.dump_traceback_later(seconds, exit=True)
