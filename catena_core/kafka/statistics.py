"""Notice a client of Kafka that has locked itself up: its main thread gives no statistics any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from catena_core.errors import ReadingError

_INTERVAL = "statistics.interval.ms"
_DEFAULT_INTERVAL = 10_000
# So many intervals without statistics; a busy machine delays some.
_MISSED = 9
# The longest time between two polls that counts: a process that was frozen meanwhile could not hear statistics.
_POLL = 1.0


class StatisticsWatch:
    """Counts the time in which polls of a client gave nothing: no message, and no statistics.

    librdkafka's main thread gives statistics at an interval, whether brokers can be reached or not. When its threads wait for
    one another for ever, each poll finds nothing, and nothing else tells. That happens: see
    https://github.com/confluentinc/librdkafka/issues/5476, where a broker was lost while a consumer asked it whether its
    offset still holds (KIP-320).

    Args:
        settings: The client's properties; an interval of 0 there, or a callback of their own, ends the watch.
        clock: Gives the time in seconds, never backwards.

    Attributes:
        properties: What the client needs beside its settings.
        is_doubted: True from an error of the client until its next statistics. Questions that wait for a lock of the client,
            and let no other thread run meanwhile, are not asked then.
    """

    def __init__(self, settings: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        interval = int(settings.get(_INTERVAL, _DEFAULT_INTERVAL))
        watches = interval > 0 and "stats_cb" not in settings
        self.properties: dict[str, Any] = {_INTERVAL: interval, "stats_cb": self._hear} if watches else {}
        self._limit = interval * _MISSED / 1000 if watches else float("inf")
        self._clock = clock
        self._polled_at = clock()
        self._silent = 0.0
        self._watches = watches
        self.is_doubted = False

    def doubt(self) -> None:
        """Note an error of the client: it locks itself up when a broker is lost."""
        self.is_doubted = self._watches

    def polled(self, message: object) -> None:
        """Note a poll, in which the client may have called back.

        Args:
            message: What it gave; ``None`` means that nothing waits in its queue, so no statistics either.

        Raises:
            ReadingError: It has given no statistics for so long that its main thread must stand still.
        """
        now = self._clock()
        self._silent = self._silent + min(now - self._polled_at, _POLL) if message is None else 0.0
        self._polled_at = now
        if self._silent > self._limit:
            raise ReadingError(
                f"Kafka's client has locked itself up: its main thread has given no sign of life for {self._silent:.0f} s"
            )

    def _hear(self, _statistics: str) -> None:
        self._silent = 0.0
        self.is_doubted = False
