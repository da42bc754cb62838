"""The watchdog: it notices a link that makes no progress, without any error or crash."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from catena_core.kafka.partition import Partition
from catena_core.monitoring.health import Health
from catena_core.monitoring.logs import LinkLogger


class Watched(Protocol):
    """The consumer loop of a link, as the watchdog sees it."""

    last_run: float

    def progress(self) -> Mapping[Partition, tuple[int, bool]]:
        """Give the position of each partition, and whether electrons of it are under way."""


class Watchdog:
    """Watches that work in flight gets done, and that the consumer's thread goes round.

    A partition with work in flight whose next offset does not move, and a consumer's thread that does not come round, are each
    a problem of the link's health. The log says so once, with the stacks of all threads, which show their waits. Progress
    clears the problem.

    Native code that keeps the interpreter to itself stops this thread, too, and the health port does not answer then: see
    :mod:`catena_core.monitoring.freeze_guard`.

    Args:
        health: The health of the link, which gets the problems.
        logger: The log, which names each problem once.
        timeout: Seconds without progress that are still fine.
        clock: Gives the time in seconds, never backwards.
    """

    def __init__(
        self,
        health: Health,
        logger: LinkLogger,
        timeout: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._logger = logger
        self._timeout = timeout
        self._clock = clock
        self._beat = clock()
        # For each partition with work in flight: the next offset, and since when it is that.
        self._since: dict[Partition, tuple[int, float]] = {}
        self._reported: set[str] = set()
        self._consumer: Watched | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self, consumer: Watched | None = None) -> None:
        """Begin to watch, in a thread of its own, which asks the consumer for its progress."""
        self._consumer = consumer
        self._beat = self._clock()
        self._thread.start()

    def close(self) -> None:
        """Stop watching; safe to call twice, and before the start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def beat(self) -> None:
        """Note that the consumer's thread has come round."""
        self._beat = self._clock()

    def note(self, partition: Partition, next_offset: int, in_flight: bool) -> None:
        """Note the progress of a partition.

        Args:
            partition: Its topic and number.
            next_offset: The offset to be committed next, or any number that moves when work gets done.
            in_flight: Whether electrons of it are being worked on.
        """
        if not in_flight:
            self._since.pop(partition, None)
            return
        known = self._since.get(partition)
        if known is None or known[0] != next_offset:
            self._since[partition] = (next_offset, self._clock())

    def forget(self, partition: Partition) -> None:
        """Stop to watch a partition: it is another instance's."""
        self._since.pop(partition, None)

    def check(self) -> None:
        """Compare with the clock now; the watchdog's own thread does so again and again."""
        now = self._clock()
        stuck = {}
        silent = now - self._beat
        if silent > self._timeout:
            stuck["consumer"] = f"the consumer's thread has not come round for {silent:.0f} s"
        for (topic, number), (next_offset, since) in self._since.copy().items():
            if now - since > self._timeout:
                stuck[f"progress {topic}/{number}"] = (
                    f"{topic}/{number} has work in flight, but has stood at offset {next_offset} for {now - since:.0f} s"
                )
        for name in self._reported - stuck.keys():
            self._health.clear(name)
            self._logger.log(f"{name}: goes on")
        for name, text in stuck.items():
            self._health.problem(name, text)
        news = [text for name, text in stuck.items() if name not in self._reported]
        if news:
            self._logger.log("; ".join(news) + ". All threads:\n" + stacks(), level="error", several_lines=True)
        self._reported = set(stuck)

    def _watch(self) -> None:
        while not self._stop.wait(min(self._timeout / 5, 1.0)):
            try:
                if self._consumer is not None:
                    self._observe(self._consumer)
                self.check()
            except Exception as error:
                self._logger.log(f"the watchdog could not look: {error!r}", level="warning")

    def _observe(self, consumer: Watched) -> None:
        self._beat = consumer.last_run
        progress = consumer.progress()
        for partition in self._since.keys() - progress.keys():
            self.forget(partition)
        for partition, (next_offset, in_flight) in progress.items():
            self.note(partition, next_offset, in_flight)


def stacks() -> str:
    """Give the stack of every thread of this process, by name, innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"--- {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame)).rstrip()}"
        for ident, frame in sys._current_frames().items()
    )
