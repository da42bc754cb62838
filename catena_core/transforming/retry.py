"""Retries: a failed transform is repeated with growing waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, stop_after_attempt, wait_random_exponential

from catena_core.dead_letters.policy import DeadLetterLimitError
from catena_core.errors import CodecError, DeliveryError, RejectedError, StoppedError, UsageError, described
from catena_core.monitoring.logs import LinkLogger

# Seconds after which a wait looks again whether it has a reason to end.
_STEP = 0.1

# The electron is at fault, and no retry would help.
REJECTIONS = (RejectedError, CodecError)
# The link is at fault, or it stops.
FATAL = (StoppedError, UsageError, DeliveryError, DeadLetterLimitError, SystemExit)


def retry(
    attempt: Callable[[], None],
    first_error: BaseException,
    attempts: int,
    backoff: tuple[float, float],
    stop: threading.Event,
    logger: LinkLogger,
    is_lost: Callable[[], bool] = lambda: False,
) -> tuple[BaseException, int] | None:
    """Repeat an attempt that failed once, until it succeeds or its attempts are used up.

    Args:
        attempt: The attempt.
        first_error: The error of the first one.
        attempts: How often to try, the first attempt included.
        backoff: The first and the longest wait in seconds; it doubles, with jitter.
        stop: Set when the link is to stop: it ends a wait, and no attempt follows.
        logger: The log of failed attempts.
        is_lost: Tells whether another instance has the electron now: this ends a wait, and the attempt is to notice it.

    Returns:
        ``None`` after a success; else the last error, and how often it was tried.

    Raises:
        BaseException: One of :data:`FATAL`.
    """
    if isinstance(first_error, REJECTIONS):
        return first_error, 1
    tried = 0

    def run() -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise first_error
        if stop.is_set():
            raise StoppedError
        attempt()

    def log(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0
        reason = described(error) if error else ""
        logger.log(f"attempt {state.attempt_number} failed, again in {wait:.1f} s: {reason}", level="warning")

    def sleep(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not is_lost() and (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, _STEP)):
                return

    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(backoff[0], max=backoff[1]),
        retry=retry_if_not_exception_type((*REJECTIONS, *FATAL)),
        sleep=sleep,
        before_sleep=log,
        reraise=True,
    )
    try:
        retrying(run)
    except FATAL:
        raise
    except BaseException as error:
        return error, tried
    return None
