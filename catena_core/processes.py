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

# Seconds that one of them may take to end, beyond those for its electrons under way.
_ENDING = 60.0


# Seconds that it has beyond that to end itself, and to say what hung in it.
_KILLED_AFTER = 5.0


def longest_end(drain_timeout: float) -> float:
    """Give the seconds after which a process that is to stop counts as hung, and ends itself."""
    return drain_timeout + _ENDING


def run(count: int, logger: LinkLogger, drain_timeout: float) -> int:
    """Start this program so many times, each as one instance, and wait for their end.

    They are one consumer group, so they share the partitions. When one of them ends by itself, it ends the others, so that a
    supervisor of this process notices; one that hangs ends itself, and one that cannot even do that is killed. The first one
    takes the ports that are named, each further one the next ports; their instance ids are numbered.

    Args:
        count: The number of processes.
        logger: The log of their ends.
        drain_timeout: Seconds that each has for its electrons under way.

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

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, on_signal)
    logger.log(f"{count} processes: {', '.join(str(child.pid) for child in children)}")
    while not asked and all(child.poll() is None for child in children):
        time.sleep(0.1)
    deadline = time.monotonic() + longest_end(drain_timeout) + _KILLED_AFTER
    for child in children:
        if child.poll() is None and not asked:
            child.terminate()
    statuses = [_wait(child, deadline, logger) for child in children]
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
    return subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environment, start_new_session=True)


def _wait(child: subprocess.Popen[bytes], deadline: float, logger: LinkLogger) -> int:
    """Wait for the end of a child, which is to stop, and kill it at the deadline (monotonic clock); return its status."""
    try:
        return child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        logger.log(f"process {child.pid} hangs: it has not ended in time, and is killed", level="error")
        child.kill()
        return child.wait()
