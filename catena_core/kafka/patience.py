"""Patience: ask Kafka again where brokers do not answer a question without which a link cannot go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential,
)

from catena_core.errors import StoppedError
from catena_core.kafka.watermarks import REFUSED

Answer = TypeVar("Answer")

# So say brokers of a topic that does not exist, and for a moment of one that was just made, or when they have just started.
_UNKNOWN = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_UNKNOWN_FOR = 10.0

# Seconds for which a link may wait without a problem: brokers restart now and then.
_SILENT_AFTER = 10.0


class Wait:
    """A wait that goes on.

    Attributes:
        reason: The reason for it, for the link's health.
        since: When it began, or last had a sign of progress, by the monotonic clock.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.progressed()

    def progressed(self) -> None:
        """Note a sign of progress."""
        self.since = time.monotonic()


class Patience:
    """Waits for Kafka, tells of it in the link's health, and gives up in the end. Threads may share it.

    Args:
        seconds: The longest wait.
        stop: Set when the link is to stop: it ends every wait.
    """

    def __init__(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.seconds = seconds
        self.stop = stop or threading.Event()
        self._waits: dict[str, Wait] = {}

    def ask(
        self,
        name: str,
        question: Callable[[], Answer],
        seconds: float | None = None,
        may_pass: Callable[[KafkaError], bool] = lambda error: error.code() not in REFUSED,
    ) -> Answer:
        """Ask a question until there is an answer.

        Args:
            name: Its name in the link's health, for instance ``"topic orders"``.
            question: Asks once, for a few seconds.
            seconds: The longest wait for this one; ``None``: as for all.
            may_pass: Tells whether an error may pass by itself.

        Raises:
            KafkaException: The last error, if there was no answer in time, or the first one that will not pass.
            StoppedError: The link is to stop.
        """

        def may_help(error: BaseException) -> bool:
            if not (isinstance(error, KafkaException) and may_pass(error.args[0])):
                return False
            return error.args[0].code() not in _UNKNOWN or time.monotonic() - began < _UNKNOWN_FOR

        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, KafkaException):
                wait.reason = f"Kafka does not answer: {error.args[0].str()}"

        began = time.monotonic()
        with self.waiting(name, "Kafka does not answer") as wait:
            try:
                return Retrying(
                    retry=retry_if_exception(may_help),
                    wait=wait_exponential(0.05, max=1),
                    stop=stop_after_delay(self.seconds if seconds is None else seconds)
                    | stop_when_event_set(self.stop),
                    sleep=sleep_using_event(self.stop),
                    before_sleep=note,
                    reraise=True,
                )(question)
            except KafkaException as error:
                if self.stop.is_set():
                    raise StoppedError("Kafka did not answer before the link was to stop") from error
                raise

    @contextmanager
    def waiting(self, name: str, reason: str) -> Iterator[Wait]:
        """Tell of a wait in the link's health, for the length of a block.

        Args:
            name: Its name there.
            reason: The reason for it.
        """
        self._waits[name] = wait = Wait(reason)
        try:
            yield wait
        finally:
            if self._waits.get(name) is wait:
                del self._waits[name]

    def problems(self) -> dict[str, str]:
        """Give the waits that have gone on for a while, for the link's health. Other threads may call it."""
        now = time.monotonic()
        return {
            name: f"{wait.reason}; waiting for {now - wait.since:.0f} s"
            for name, wait in list(self._waits.items())
            if now - wait.since > _SILENT_AFTER
        }
