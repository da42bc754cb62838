"""The dead-letter policy: how many electrons may fail for good before the link stops."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from catena_core.errors import CatenaError


class DeadLetterLimitError(CatenaError):
    """So many electrons fail that the link itself must be broken: it stops, and sets none of them aside any more."""


@dataclass(frozen=True)
class DeadLetterLimits:
    """The number of dead letters above which a link stops.

    Attributes:
        run: The most in a row; ``None``: any number.
        share: The largest share of the last :attr:`among` electrons, from 0 to 1; ``None``: any.
        among: The number of electrons over which the share is taken; it does not count before the link has seen so many.
    """

    run: int | None = 1000
    share: float | None = 0.5
    among: int = 10_000


class DeadLetterPolicy:
    """Counts successes and dead letters against the limits. Thread-safe.

    Args:
        limits: The limits; ``None``: there are none.
    """

    def __init__(self, limits: DeadLetterLimits | None) -> None:
        self._limits = limits or DeadLetterLimits(run=None, share=None)
        self._run = 0
        self._seen = 0
        self._dead: deque[int] = deque()  # the numbers, in the order of coming, of those that were set aside
        self._lock = threading.Lock()

    def record_success(self, count: int) -> None:
        """Count electrons that were transformed."""
        with self._lock:
            self._seen += count
            if count:
                self._run = 0

    def record_failure(self) -> None:
        """Count one electron that is about to become a dead letter.

        Raises:
            DeadLetterLimitError: It exceeds a limit.
        """
        limits = self._limits
        with self._lock:
            self._seen += 1
            self._run += 1
            self._dead.append(self._seen)
            while self._dead[0] <= self._seen - limits.among:
                self._dead.popleft()
            if limits.run is not None and self._run > limits.run:
                raise DeadLetterLimitError(f"{self._run} electrons in a row failed for good")
            share = len(self._dead) / limits.among
            if limits.share is not None and self._seen >= limits.among and share > limits.share:
                raise DeadLetterLimitError(f"{share:.0%} of the last {limits.among} electrons failed for good")
