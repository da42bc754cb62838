"""The watch over the exit of a program: Python waits there, for ever if need be, for threads that are no daemons."""

from __future__ import annotations

import os
import sys
import threading
import time

from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.watchdog import stacks

_STEP = 0.5

# Seconds after which threads that hold up the exit are told of.
_TOLD_AFTER = 5.0


def watch_exit(logger: LinkLogger, timeout: float) -> None:
    """End a program whose interpreter is exiting, and is held up for too long, with status 1.

    Args:
        logger: The log, which first tells of the threads that hold it up, with the stacks of all.
        timeout: Seconds.
    """
    threading.Thread(target=_watch, args=(logger, timeout), name="exit watch", daemon=True).start()


def _watch(logger: LinkLogger, timeout: float) -> None:
    while not _is_exiting():
        time.sleep(_STEP)
    began = time.monotonic()
    time.sleep(min(_TOLD_AFTER, timeout))
    logger.log(f"{_holding_up()}. All threads: {stacks()}", level="error", several_lines=True)
    time.sleep(max(0.0, timeout - (time.monotonic() - began)))
    logger.log(f"ending all the same, after {timeout:g} s: {_holding_up()}", level="error")
    os._exit(1)


def _is_exiting() -> bool:
    """Return True if the main thread has left the program's own code.

    At first it waits for the threads of executors, and still counts as alive.
    """
    main = threading.main_thread()
    frame = sys._current_frames().get(main.ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    shuts_down = frame is not None and frame.f_code is threading._shutdown.__code__  # type: ignore[attr-defined]
    return shuts_down or not main.is_alive()


def _holding_up() -> str:
    main = threading.main_thread()
    names = [thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon]
    return f"the link has ended, and the program has not: it waits for {', '.join(names) or 'a function of atexit'}"
