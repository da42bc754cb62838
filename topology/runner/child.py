"""Runs a module as ``python -m`` would, and ends when the runner dies, however it dies.

``python -m topology.runner.child RUNNER_PID MODULE [ARGUMENTS…]``
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from catena_core.die_with_parent import on_parent_death


def main() -> None:
    """Follow the runner, then become the module."""
    runner = int(sys.argv[1])
    on_parent_death(lambda: os.kill(os.getpid(), signal.SIGTERM))
    if os.getppid() != runner:
        sys.exit("the runner died before this process could follow it")
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
