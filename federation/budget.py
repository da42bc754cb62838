"""The time, memory and data that queries may use."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from federation.errors import QueryCancelledError, QueryTimeoutError, TooBusyError, TooLargeError
from federation.trace import Step

_NO_ROOM = "the queries under way hold all the memory that is for nodes' answers; ask again soon"
# Seconds after which a query that waits for memory looks whether its client is still there.
_LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Limits:
    """The most that one query may use.

    Attributes:
        max_triples: Triples that the query fetches from the nodes.
        max_fetched_bytes: Bytes that the nodes send, copies of graphs that are read from other nodes included.
        max_result_bytes: Bytes of the answer.
    """

    max_triples: int = 2_000_000
    max_fetched_bytes: int = 1024 * 1024 * 1024
    max_result_bytes: int = 256 * 1024 * 1024


class MemoryPool:
    """The memory for nodes' answers that all queries under way share. May be used by many threads.

    Args:
        max_bytes: Its size.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._charged = 0
        self._lock = threading.Condition()

    def charge(self, size: int) -> None:
        """Charge bytes that have arrived.

        Raises:
            TooBusyError: The pool has no room for them.
        """
        with self._lock:
            if self._charged + size > self._max_bytes:
                raise TooBusyError(_NO_ROOM)
            self._charged += size

    def reserve(self, size: int, check: Callable[[], None]) -> None:
        """Charge bytes before they arrive, as soon as there is room for them.

        Args:
            size: Their number, no more than the pool's size.
            check: Called again and again while there is no room; its error ends the wait.
        """
        with self._lock:
            while self._charged + size > self._max_bytes:
                check()
                self._lock.wait(_LOOK_EVERY)
            self._charged += size

    def release(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._charged -= size
            self._lock.notify_all()


class Trace:
    """The steps of one query. May be used by many threads.

    Attributes:
        steps: The steps, in the order in which they ended.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def record(self, what: str, source: str, text: str, rows: int, size: int, start: float) -> None:
        """Record a step that ends now; see ``Step``.

        Args:
            what: The kind of step.
            source: The node's id.
            text: The query that ran.
            rows: The number of rows or quads.
            size: The number of bytes.
            start: When it began, by ``time.perf_counter()``.
        """
        self.steps.append(Step(what, source, text, rows, size, time.perf_counter() - start))


class Budget:
    """The time and data that a query has left, whichever nodes it goes to. May be used by many threads.

    Args:
        seconds: How long the query may take from now.
        limits: The most that it may use.
        cancelled: Returns whether the client has gone; ``None``: that is not known.
        memory_pool: The memory that it shares with other queries.

    Attributes:
        deadline: When the answer is due, by ``time.monotonic()``.
        limits: The most that the query may use.
        trace: The query's steps.
    """

    def __init__(
        self,
        seconds: float,
        limits: Limits,
        cancelled: Callable[[], bool] | None = None,
        memory_pool: MemoryPool | None = None,
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.limits = limits
        self.trace = Trace()
        self._cancelled = cancelled
        self._memory_pool = memory_pool
        self._charged: Counter[str] = Counter()
        self._reserved = 0
        self._ended = False
        self._lock = threading.Lock()

    def check(self, waited_for: str, grace: float = 0.0) -> None:
        """Go on only while the client waits for the answer and there is time.

        Args:
            waited_for: What takes the time, for the error.
            grace: Seconds to go on beyond the deadline.

        Raises:
            QueryCancelledError: The client has gone.
            QueryTimeoutError: The deadline has passed.
        """
        if self._cancelled is not None and self._cancelled():
            raise QueryCancelledError("the client went away")
        if time.monotonic() > self.deadline + grace:
            raise QueryTimeoutError(f"waited for {waited_for}")

    def charge(self, size: int, source: str = "") -> None:
        """Charge bytes that a node has sent.

        Args:
            size: Their number.
            source: The node's id.

        Raises:
            TooLargeError: All bytes exceed the query's limit, and this node has sent the most.
            TooBusyError: The shared memory has no room for them.
            QueryCancelledError: The query has ended without them.
        """
        with self._lock:
            if self._ended:
                raise QueryCancelledError("the query has ended")
            sent = self._charged[source] + size
            # A node that sends too much must not end the requests to others.
            if self._charged.total() + size > self.limits.max_fetched_bytes and sent >= max(
                self._charged.values(), default=0
            ):
                raise TooLargeError(
                    f"the nodes would have to send more than {self.limits.max_fetched_bytes} bytes for this query; make its "
                    "patterns narrower"
                )
            if self._memory_pool:
                total = self._charged.total()
                self._memory_pool.charge(self._held(total + size) - self._held(total))
            self._charged[source] = sent

    def sent(self, source: str) -> int:
        """Return the number of bytes that a node has sent."""
        with self._lock:
            return self._charged[source]

    def refund(self, source: str) -> None:
        """Give back the bytes of a node that counts as failed."""
        with self._lock:
            before = self._charged.total()
            self._charged.pop(source, None)
            if self._memory_pool and not self._ended:
                self._memory_pool.release(self._held(before) - self._held(self._charged.total()))

    def end(self) -> None:
        """Release the memory of all answers of nodes, and refuse those that are still arriving."""
        with self._lock:
            if self._memory_pool and not self._ended:
                self._memory_pool.release(self._held(self._charged.total()))
            self._ended = True

    def with_memory(self) -> Budget:
        """End this budget, wait until the shared memory has room for all that its query may use, and return one that has it.

        Returns:
            A budget with the same deadline and steps. It finds room for every byte.

        Raises:
            TooBusyError: There was no room before the deadline.
            QueryCancelledError: The client has gone.
        """
        self.end()
        again = Budget(self.deadline - time.monotonic(), self.limits, self._cancelled, self._memory_pool)
        again.trace = self.trace
        if self._memory_pool:
            try:
                self._memory_pool.reserve(self.limits.max_fetched_bytes, lambda: self.check("memory"))
            except QueryTimeoutError:
                raise TooBusyError(_NO_ROOM) from None
            again._reserved = self.limits.max_fetched_bytes
        return again

    def _held(self, total: int) -> int:
        """Return the part of the shared memory that it holds for so many bytes from nodes."""
        return max(total, self._reserved)
