"""Notices when a link has come to a stop that nothing else shows: no error, no crash, just no progress."""

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


class Consumer(Protocol):
    """The consumer loop of a link, as the watchdog sees it."""

    last_run: float

    def progress(self) -> Mapping[Partition, tuple[int, bool]]:
        """Give the position of each partition, and whether electrons of it are under way."""


class Watchdog:
    """Watches that work in flight gets done, and that the consumer's thread goes round.

    A partition with work in flight whose next offset has not moved for a while, and a consumer's thread that does not come
    round, are each a problem of the link's health; the log says so once, with the stacks of all threads, so that what they
    wait for can be seen. Progress clears the problem.

    Native code that keeps the interpreter to itself stops this thread, too; the health port then does not answer at all.

    Args:
        health: Where problems are reported.
        logger: Where they are told, once each.
        patience: Seconds without progress that are still fine.
        clock: Tells the time in seconds, never backwards.
    """

    def __init__(
        self,
        health: Health,
        logger: LinkLogger,
        patience: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._logger = logger
        self._patience = patience
        self._clock = clock
        self._beat = clock()
        # For each partition with work in flight: the next offset, and since when it is that.
        self._since: dict[Partition, tuple[int, float]] = {}
        self._told: set[str] = set()
        self._consumer: Consumer | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self, consumer: Consumer | None = None) -> None:
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
        """Say that the consumer's thread has come round."""
        self._beat = self._clock()

    def note(self, partition: Partition, next_offset: int, in_flight: bool) -> None:
        """Say how far a partition is; cheap enough for every round.

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
        """Watch a partition no longer: it is another instance's."""
        self._since.pop(partition, None)

    def check(self) -> None:
        """Compare with the clock now; the watchdog's own thread does so again and again."""
        now = self._clock()
        stuck = {}
        silent = now - self._beat
        if silent > self._patience:
            stuck["consumer"] = f"the consumer's thread has not come round for {silent:.0f} s"
        for (topic, number), (next_offset, since) in self._since.copy().items():
            if now - since > self._patience:
                stuck[f"progress {topic}/{number}"] = (
                    f"{topic}/{number} has work in flight, but has stood at offset {next_offset} for {now - since:.0f} s"
                )
        for name in self._told - stuck.keys():
            self._health.clear(name)
            self._logger.log(f"{name}: goes on")
        for name, text in stuck.items():
            self._health.problem(name, text)
        news = [text for name, text in stuck.items() if name not in self._told]
        if news:
            self._logger.log("; ".join(news) + ". All threads:\n" + stacks(), level="error")
        self._told = set(stuck)

    def _watch(self) -> None:
        while not self._stop.wait(min(self._patience / 5, 1.0)):
            if self._consumer is not None:
                self._observe(self._consumer)
            self.check()

    def _observe(self, consumer: Consumer) -> None:
        self._beat = consumer.last_run
        progress = consumer.progress()
        for partition in self._since.keys() - progress.keys():
            self.forget(partition)
        for partition, (next_offset, in_flight) in progress.items():
            self.note(partition, next_offset, in_flight)


def stacks() -> str:
    """Where every thread of this process stands, by name, innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"--- {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame)).rstrip()}"
        for ident, frame in sys._current_frames().items()
    )
