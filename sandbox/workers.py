"""Threads for work that would hold the event loop up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

DEEP_STACK = 1024 * 1024 * 1024
"""Bytes of address space (memory only as it is used) for the stack of each thread. The parsers recurse: a query takes
up to 2.3 KB of stack for each character, so one of 4 KB overflows the default of 8 MiB, which ends the process."""


class Workers:
    """A pool of threads with deep stacks. What it evaluates cannot be interrupted, only left behind."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._start_all(threads)

    def _start_all(self, threads: int) -> None:
        # The stack size is one setting for the whole process: set while these threads start, then as it was.
        everyone = threading.Barrier(threads)
        before = threading.stack_size(DEEP_STACK)
        try:
            list(self._pool.map(lambda _: everyone.wait(), range(threads)))
        finally:
            threading.stack_size(before)

    async def run(self, work: Callable[[], Result], within: float | None = None) -> Result:
        """What `work()` returns, from one of the threads; raises asyncio.TimeoutError after `within` seconds."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        return await running if within is None else await asyncio.wait_for(running, within)

    def close(self) -> None:
        """Starts nothing more; does not wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
