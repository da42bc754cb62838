"""Dead letters: what failed for good is set aside as it came, with the reason in its headers, up to a limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from catena_core.dead_letters.replay import VALUE_LEFT_OUT
from catena_core.errors import CatenaError
from catena_core.wire.message import Message

# Longer texts of errors are cut: they may hold whole documents.
_LONGEST_REASON = 1000


class DeadLetterLimitError(CatenaError):
    """So much fails that it is the link that is broken, not its electrons; nothing more is set aside, and the link stops."""


@dataclass(frozen=True)
class DeadLetterLimits:
    """When a link stops instead of setting more aside.

    Attributes:
        run: How many in a row; ``None``: any number.
        share: Which share of the last :attr:`among` electrons, from 0 to 1; ``None``: any.
        among: Over how many electrons the share is taken; before so many were seen it does not count.
    """

    run: int | None = 1000
    share: float | None = 0.5
    among: int = 10_000


class DeadLetterCount:
    """Counts electrons that went well and that did not, against the limits. Thread-safe.

    Args:
        limits: The limits; ``None``: there are none.
    """

    def __init__(self, limits: DeadLetterLimits | None) -> None:
        self._limits = limits or DeadLetterLimits(run=None, share=None)
        self._run = 0
        self._seen = 0
        self._dead: deque[int] = deque()  # the numbers, in the order of coming, of those that were set aside
        self._lock = threading.Lock()

    def well(self, count: int) -> None:
        """Note electrons that went well."""
        with self._lock:
            self._seen += count
            if count:
                self._run = 0

    def dead(self) -> None:
        """Note one that is about to be set aside.

        Raises:
            DeadLetterLimitError: It is one too many.
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


def dead_letter(topic: str, message: Any, error: Exception, link: str, attempts: int) -> Message:
    """The dead letter of an electron.

    Args:
        topic: The topic of dead letters.
        message: The message as it came from Kafka.
        error: Why it failed.
        link: The class of the link.
        attempts: How often it was tried.
    """
    reason = {
        "error": str(error)[:_LONGEST_REASON],
        "error-type": type(error).__name__,
        "link": link,
        "original-topic": message.topic(),
        "original-partition": str(message.partition()),
        "original-offset": str(message.offset()),
        "attempts": str(attempts),
        "failed-at": f"{time.time():.3f}",
    }
    kept = [(name, data) for name, data in message.headers() or () if name not in reason]
    return Message(topic, message.value(), message.key(), kept + _header(reason))


def dead_output(topic: str, output: Message, error: Exception, link: str) -> Message:
    """The dead letter of a message that a link sent and Kafka refuses.

    Args:
        topic: The topic of dead letters.
        output: The message.
        error: Why Kafka refuses it.
        link: The class of the link.
    """
    reason = {
        "error": str(error)[:_LONGEST_REASON],
        "error-type": type(error).__name__,
        "link": link,
        "original-topic": output.topic,
        "attempts": "1",
        "failed-at": f"{time.time():.3f}",
    }
    if output.partition is not None:
        reason["original-partition"] = str(output.partition)
    return Message(topic, output.value, output.key, [*(output.headers or ()), *_header(reason)])


def without_value(letter: Message) -> Message:
    """A dead letter that is itself too large, without its value; its headers say where the original stands."""
    note = (VALUE_LEFT_OUT, f"{len(letter.value or b'')} bytes, too large for {letter.topic}".encode())
    return letter.replace(value=None, headers=[*(letter.headers or ()), note])


def _header(reason: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(name, text.encode("utf-8", "replace")) for name, text in reason.items()]
