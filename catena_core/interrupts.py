"""Ctrl-C in a program: it ends with status 130, soon and without a traceback. This module is imported before all others."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

STATUS = 130
"""The status of a program that Ctrl-C ended, as shells report it."""

_PATIENCE = 0.5


def end_at_once() -> None:
    """Let Ctrl-C end this process at once, until it has something to finish, and sets a handler of its own."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: os._exit(STATUS))


@contextmanager
def ending_soon() -> Iterator[None]:
    """Let Ctrl-C raise ``KeyboardInterrupt``, and end this process where that does not happen for half a second.

    Python calls no handler while its main thread is within a library's call, as Kafka's client is while it waits for a broker.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = threading.Event()

    def on_interrupt(*_: object) -> None:
        heeded.set()
        raise KeyboardInterrupt

    def watch() -> None:
        while number := os.read(reader, 1):
            if number[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) is on_interrupt:
                if not heeded.wait(_PATIENCE):
                    os._exit(STATUS)
                heeded.clear()
        os.close(reader)

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=watch, name="interrupts", daemon=True).start()
    handler = signal.signal(signal.SIGINT, on_interrupt)
    descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        if signal.getsignal(signal.SIGINT) is on_interrupt:
            signal.signal(signal.SIGINT, handler)
        os.close(writer)


def _end_quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) and _is_importing(trace):
        os._exit(STATUS)
    _show(kind, error, trace)


def _is_importing(trace: TracebackType | None) -> bool:
    """Return True if a module's own code was running: that of an imported one, or the last line reached of the program's."""
    while trace is not None:
        code, names = trace.tb_frame.f_code, trace.tb_frame.f_globals
        if code.co_name == "<module>" and (trace.tb_next is None or names.get("__name__") != "__main__"):
            return True
        trace = trace.tb_next
    return False


# A program's own hook, or that of a notebook, stays.
if sys.excepthook is sys.__excepthook__:
    _show, sys.excepthook = sys.excepthook, _end_quietly
