"""Ctrl-C while a program starts: it ends with status 130, without a traceback. This module is imported before all others."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import TracebackType

STATUS = 130
"""The status of a program that Ctrl-C ended, as shells report it."""


def end_at_once() -> None:
    """Let Ctrl-C end this process at once, until it has something to finish, and sets a handler of its own."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: os._exit(STATUS))


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
