"""The freeze guard: it ends a process in which no Python code runs any more."""

from __future__ import annotations

import faulthandler
import threading
from contextlib import suppress


class FreezeGuard:
    """Ends the process, with the stacks of all threads, once none of them has run Python code for long.

    Native code that waits for ever and keeps the interpreter to itself (its GIL) stops every thread: the process serves no
    health, heeds no signal, and looks alive. Kafka's client does so when it has locked itself up
    (:mod:`catena_core.kafka.statistics`) and is asked something. The timer is a native thread of `faulthandler`, which needs no
    interpreter; a thread puts it off again and again.

    Args:
        timeout: Seconds; a process that was stopped for longer (SIGSTOP) ends as well when it goes on.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._put_off, name="freeze guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Guard no longer."""
        self._closed.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _put_off(self) -> None:
        # A standard error that is closed takes no stacks; there is no guard then.
        with suppress(OSError, RuntimeError, ValueError):
            faulthandler.dump_traceback_later(self._timeout, exit=True)
            while not self._closed.wait(self._timeout / 10):
                faulthandler.dump_traceback_later(self._timeout, exit=True)
