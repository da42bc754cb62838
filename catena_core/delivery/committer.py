"""The committer: it commits outputs that belong to no electron while no consumer loop does.

So what a link sends in its setup, its finish or, where it reads nothing, its generator arrives while they go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from catena_core.delivery.base import Delivery

# Seconds between two looks for outputs.
_INTERVAL = 0.05

# Seconds for a transaction under way at the end: its requests give up by themselves before.
_END_TIMEOUT = 30.0


class Committer:
    """Commits in a thread of its own, if outputs go out in transactions: others arrive by themselves.

    Args:
        delivery: Brings outputs to Kafka.
        fail: Called with whatever error a commit raises.
    """

    def __init__(self, delivery: Delivery, fail: Callable[[BaseException], None]) -> None:
        self._delivery = delivery
        self._fail = fail
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Commit nothing within this block, where another thread does."""
        self.close()
        try:
            yield
        finally:
            self._start()

    def close(self) -> None:
        """Commit no more, once the transaction under way is over."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._over.set()
        thread.join(_END_TIMEOUT)
        if thread.is_alive():
            self._delivery.abandon()

    def _start(self) -> None:
        if self._delivery.transactional:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._over,), name="commits", daemon=True)
            self._thread.start()

    def _run(self, over: threading.Event) -> None:
        try:
            while not over.wait(_INTERVAL):
                self._delivery.maybe_commit(())
        except BaseException as error:
            self._fail(error)
