"""Failures in a row: whether something that is called again and again ever succeeds."""

from __future__ import annotations

import time

from catena_core.errors import described
from catena_core.text import bounded, redacted

# So many failures in a row are no accident.
_SEVERAL = 3

# A call that has gone on for so many seconds has got over its failures.
_LONG = 60.0


class FailuresInARow:
    """Counts the failures of a generator or loop since it last worked.

    Args:
        name: The function's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._began: float | None = None  # while it runs
        self._count = 0
        self._last = ""

    def began(self) -> None:
        """Note that it is called."""
        self._began = time.monotonic()

    def succeeded(self) -> None:
        """Note that the call returned."""
        self._began, self._count = None, 0

    def failed(self, error: BaseException) -> None:
        """Note that the call raised an error."""
        self._count = 1 if self._has_lasted else self._count + 1
        self._last = bounded(redacted(described(error)), 1000)
        self._began = None

    def problems(self) -> dict[str, str]:
        """Give the problem for the link's health: none as long as it works, or has failed a few times only."""
        if self._count < _SEVERAL or self._has_lasted:
            return {}
        return {self._name: f"{self._name} has failed {self._count} times in a row: {self._last}"}

    @property
    def _has_lasted(self) -> bool:
        return self._began is not None and time.monotonic() - self._began > _LONG
