"""Several processes of one link on one machine: for transforms that use up a processor, of which threads would share one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Any

from catena_core.monitoring.logs import LinkLogger
from catena_core.options import LinkOptions

# The variable that tells a process which of them it is.
NUMBER = "CATENA_PROCESS"


def run(count: int, logger: LinkLogger) -> int:
    """Start this program so many times, each as one instance, and wait for their end.

    They are one consumer group, so they share the partitions. When one of them ends by itself, the others are ended, too, so
    that whatever watches this process sees it. Ports that are named are the first one's; each further one takes the next.

    Args:
        count: How many.
        logger: Where their ends are told.

    Returns:
        The exit status: 0 when all ended cleanly.
    """
    children = [_start(number) for number in range(1, count + 1)]
    asked = False

    def on_signal(number: int, _frame: Any) -> None:
        nonlocal asked
        asked = True
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    logger.log(f"{count} processes: {', '.join(str(child.pid) for child in children)}")
    while all(child.poll() is None for child in children):
        time.sleep(0.1)
    for child in children:
        if child.poll() is None and not asked:
            child.terminate()
    statuses = [child.wait() for child in children]
    logger.log(f"ended with status {', '.join(map(str, statuses))}")
    return 0 if not any(statuses) else 1


def is_child() -> bool:
    """Whether this process is one of them."""
    return NUMBER in os.environ


def own_ports(options: LinkOptions) -> LinkOptions:
    """The options of this process, with the ports that are its own."""
    number = os.environ.get(NUMBER, "")
    further = int(number) - 1 if number.isdigit() else 0

    def own(port: int | None) -> int | None:
        return port + further if port else port

    return replace(options, metrics_port=own(options.metrics_port), rpc_port=own(options.rpc_port))


def follow_parent(stop: threading.Event) -> None:
    """Set ``stop`` when the process that started this one is gone, however it died."""
    parent = os.getppid()
    while not stop.wait(1.0):
        if os.getppid() != parent:
            stop.set()


def _start(number: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, NUMBER: str(number)}
    # A process group of its own, so that Ctrl-C in a terminal reaches it once, by way of this process.
    return subprocess.Popen([*_command(), "--processes", "1"], env=environment, start_new_session=True)


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
