"""Bounds the calls of Kafka's client that may wait for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class StuckError(Exception):
    """A call did not return in time. Its thread goes on waiting."""


def in_time(call: Callable[[], object], seconds: float) -> None:
    """Make a call in a thread of its own, and wait for it so long at most.

    ``commit`` and ``close`` know no timeout: they wait until a broker that accepts connections answers.
    ``send_offsets_to_transaction`` may ignore its timeout where the group's coordinator goes away
    (https://github.com/confluentinc/librdkafka/issues/5456).

    Args:
        call: The call; its error is raised here.
        seconds: The longest wait.

    Raises:
        StuckError: It has not returned.
    """
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=run, name="call of Kafka's client", daemon=True).start()
    try:
        error = ended.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise StuckError from None
    if error is not None:
        raise error
