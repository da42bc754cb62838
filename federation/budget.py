"""What one query may use, and what has been done for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from federation.errors import QueryCancelled, QueryTimeout, TooBusy, TooLarge


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Attributes:
        most_triples: Triples pulled from the nodes and kept.
        most_pulled_bytes: Bytes that the nodes send, copies of graphs that are read from other nodes included.
        most_result_bytes: Bytes of the answer.
    """

    most_triples: int = 2_000_000
    most_pulled_bytes: int = 1024 * 1024 * 1024
    most_result_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Step:
    """What was done for a query, for those who want to know where its time went.

    Attributes:
        what: ``ask`` a node, ``sift`` its rows, ``keep`` quads for other queries, or ``evaluate``.
        source: The node's id; empty where there is none.
        text: The query that was run.
        rows: How many rows came, or quads were taken or put in; -1 where nothing is counted.
        size: The bytes that came or went in.
        seconds: How long it took.
    """

    what: str
    source: str
    text: str
    rows: int
    size: int
    seconds: float


class Hold:
    """The bytes that the queries under way hold of nodes' answers, all together. May be used by many threads.

    Args:
        most_bytes: How many these may be.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            TooBusy: They are too many.
        """
        with self._lock:
            if self._held + size > self._most:
                raise TooBusy("the queries under way hold all the memory that is for nodes' answers; ask again soon")
            self._held += size

    def give_back(self, size: int) -> None:
        """Count bytes that are not needed any more."""
        with self._lock:
            self._held -= size


class Effort:
    """What a query has left, and its steps, whichever nodes it goes to. May be used by many threads.

    Args:
        seconds: How long the query may take from now.
        limits: What it may use.
        cancelled: Whether nobody waits for the answer any more.
        hold: What all queries hold.

    Attributes:
        deadline: When the answer is due, by ``time.monotonic()``.
        limits: What it may use.
        steps: What was done, in the order in which it ended.
    """

    def __init__(
        self,
        seconds: float,
        limits: Limits,
        cancelled: Callable[[], bool] = lambda: False,
        hold: Hold | None = None,
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.limits = limits
        self.steps: list[Step] = []
        self._cancelled = cancelled
        self._hold = hold
        self._spent = 0
        self._ended = False
        self._lock = threading.Lock()

    def check(self, waited_for: str, grace: float = 0.0) -> None:
        """Go on only while somebody waits for the answer and there is time.

        Args:
            waited_for: What takes the time.
            grace: Seconds to go on beyond the deadline.

        Raises:
            QueryCancelled: Nobody waits.
            QueryTimeout: The deadline is over.
        """
        if self._cancelled():
            raise QueryCancelled("the client went away")
        if time.monotonic() > self.deadline + grace:
            raise QueryTimeout(f"waited for {waited_for}")

    def spend(self, size: int) -> None:
        """Count bytes that a node has sent.

        Raises:
            TooLarge: They are too many.
            TooBusy: All queries together hold too many.
            QueryCancelled: The query has been answered without them.
        """
        with self._lock:
            if self._ended:
                raise QueryCancelled("the query has ended")
            if self._spent + size > self.limits.most_pulled_bytes:
                most = self.limits.most_pulled_bytes
                raise TooLarge(
                    f"the nodes would have to send more than {most} bytes for this query; make its patterns narrower"
                )
            if self._hold:
                self._hold.take(size)
            self._spent += size

    def note(self, what: str, source: str, text: str, rows: int, size: int, start: float) -> None:
        """Remember a step that began at ``start``, by ``time.perf_counter()``."""
        self.steps.append(Step(what, source, text, rows, size, time.perf_counter() - start))

    def end(self) -> None:
        """Let go of what nodes have sent, and are still sending."""
        with self._lock:
            if self._hold and not self._ended:
                self._hold.give_back(self._spent)
            self._ended = True
