"""Ends a process when its parent dies, however the parent dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when its parent dies (prctl(2); Linux only).

    The kernel sends it when the thread that started this process ends. So that thread has to live as long as its process.

    Args:
        parent: The parent's process id, as the parent itself knows it.

    Raises:
        SystemExit: The parent has died already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent died before this process could follow it")
