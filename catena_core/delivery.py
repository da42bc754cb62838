"""Counting outputs until Kafka has acknowledged the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Outputs:
    """A number of messages on their way to Kafka, and what is to happen once all of them have arrived.

    Args:
        done: Called exactly once, from whichever thread comes last, with the first error or ``None``.
    """

    __slots__ = ("_done", "_error", "_lock", "_open")

    def __init__(self, done: Callable[[Exception | None], None]) -> None:
        self._done = done
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._open = 1  # the one that `seal` takes away, so that a fast broker cannot finish before the last is added

    def add(self) -> None:
        """Expect one delivery more."""
        with self._lock:
            self._open += 1

    def delivered(self, error: Any, _message: Any = None) -> None:
        """Note one delivery: the shape of a confluent-kafka delivery callback."""
        with self._lock:
            self._open -= 1
            if error is not None and self._error is None:
                self._error = error if isinstance(error, Exception) else RuntimeError(str(error))
            last = self._open == 0
        if last:
            self._done(self._error)

    def seal(self) -> None:
        """Say that no more will be added."""
        self.delivered(None)
