"""Runs a module as ``python -m`` would, and ends with the runner, however the runner dies.

``python -m topology.runner.child RUNNER_PID MODULE [ARGUMENTS…]``
"""

from __future__ import annotations

import runpy
import sys

from catena_core.die_with_parent import die_with_parent


def main() -> None:
    """Follow the runner, then become the module."""
    die_with_parent(int(sys.argv[1]))
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
