"""Lanes: threads in which a link's own code runs, beside the thread that owns the consumer.

An electron's key decides its lane, so electrons of one key are transformed in order while others go on beside them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Lane:
    """One thread that runs calls in order.

    Args:
        name: The thread's name, as logs and stack dumps show it.
        idle: Called whenever everything that was queued has run; it may find more work and queue it.
    """

    def __init__(self, name: str, idle: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._idle = idle
        self._queue: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether this is the lane in which the caller runs."""
        return threading.current_thread() is self._thread

    @property
    def depth(self) -> int:
        """How many calls wait."""
        return self._queue.qsize()

    def put(self, work: Callable[..., None], *args: Any) -> None:
        """Queue a call behind everything queued before it; it must not raise."""
        self._queue.put((work, args))

    def close(self) -> None:
        """End the thread once everything queued has run."""
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            if self._queue.empty():
                self._idle()
            item = self._queue.get()
            if item is None:
                return
            work, args = item
            work(*args)
