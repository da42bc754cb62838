"""Lanes: threads in which a link's own code runs, beside the thread that owns the consumer.

An electron's key decides its lane, so electrons of one key are transformed in order while others go on beside them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Lane:
    """One thread with a bounded queue of work.

    Args:
        name: The thread's name, as logs and stack dumps show it.
        capacity: The number of electrons above which :attr:`full` holds.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self._capacity = capacity
        self._depth = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[int, Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether more work should wait outside."""
        return self._depth >= self._capacity

    def put(self, work: Callable[..., None], *args: Any, size: int = 0) -> None:
        """Queue a call behind everything queued before it.

        Args:
            work: Runs in the lane's thread; it must not raise.
            size: How many electrons it stands for.
        """
        with self._lock:
            self._depth += size
        self._queue.put((size, work, args))

    def close(self) -> None:
        """End the thread once everything queued has run."""
        self._queue.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; whether it did within ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            size, work, args = item
            work(*args)
            with self._lock:
                self._depth -= size
