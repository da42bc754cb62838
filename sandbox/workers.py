"""Threads for work that would block the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

DEEP_STACK = 1024 * 1024 * 1024
"""Bytes of address space (memory only as it is used) for the stack of each thread. The parsers recurse: a query takes up to
2.3 KB of stack for each character. So a query of 4 KB overflows the default of 8 MiB, which ends the process."""


class Workers:
    """A pool of threads with deep stacks. Work under way cannot be interrupted, only abandoned."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._start_all(threads)

    def _start_all(self, threads: int) -> None:
        # The stack size is one setting for the whole process, so it is restored once these threads have started.
        everyone = threading.Barrier(threads)
        before = threading.stack_size(DEEP_STACK)
        try:
            list(self._pool.map(lambda _: everyone.wait(), range(threads)))
        finally:
            threading.stack_size(before)

    async def run(self, work: Callable[[], Result], within: float | None = None) -> Result:
        """Do some work in one of the threads, and return its result.

        Args:
            work: The work.
            within: Seconds to wait; ``None`` waits without limit.

        Raises:
            asyncio.TimeoutError: It took longer.
        """
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        return await running if within is None else await asyncio.wait_for(running, within)

    def close(self) -> None:
        """Start no more work, and do not wait for work under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
