"""Several processes of one link on one machine, for transforms that keep a processor busy: threads would share one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from catena_core.monitoring.logs import LinkLogger
from catena_core.options import LinkOptions

# The variable that numbers these processes.
NUMBER = "CATENA_PROCESS"


def run(count: int, logger: LinkLogger) -> int:
    """Start this program so many times, each as one instance, and wait for their end.

    They are one consumer group, so they share the partitions. When one of them ends by itself, it ends the others, so that a
    supervisor of this process notices. The first one takes the ports that are named, each further one the next ports; their
    instance ids are numbered.

    Args:
        count: The number of processes.
        logger: The log of their ends.

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
    """Tell whether this process is one of them."""
    return NUMBER in os.environ


def own_options(options: LinkOptions) -> LinkOptions:
    """Give the options of this process, with its own ports, and its own name as a static member of the group."""
    number = os.environ.get(NUMBER, "")
    further = int(number) - 1 if number.isdigit() else 0

    def own(port: int | None) -> int | None:
        return port + further if port else port

    instance_id = f"{options.instance_id}-{number}" if options.instance_id and number else options.instance_id
    return replace(
        options, metrics_port=own(options.metrics_port), rpc_port=own(options.rpc_port), instance_id=instance_id
    )


def _start(number: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, NUMBER: str(number)}
    # A process group of its own, so that Ctrl-C in a terminal reaches it once, by way of this process.
    return subprocess.Popen(_command(), env=environment, start_new_session=True)


def _command() -> list[str]:
    """Repeat the command line, with one process; after ``--`` come the link's own arguments."""
    arguments = sys.orig_argv[1:]
    at = len(arguments) - len(sys.argv) + sys.argv.index("--") if "--" in sys.argv else len(arguments)
    return [sys.executable, *arguments[:at], "--processes", "1", *arguments[at:]]
