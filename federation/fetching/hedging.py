"""Hedged requests to the nodes of a snapshot, without waiting for slow ones that others can replace.

A node is slow that has not answered in the time that it usually takes. When others have all graphs that it was asked for, the
query asks them, or uses what they have sent already (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013). It still uses
the answer of the slow node if that arrives first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from federation.budget import Budget
from federation.errors import (
    BadAnswerError,
    QueryTimeoutError,
    ServerStoppingError,
    SilentSourceError,
    SourceFailedError,
    UnreadableRowsError,
)
from federation.fetching import staleness
from federation.fetching.endpoints import Endpoints
from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source

# Seconds in which a request notices the deadline by itself, with a more exact error.
_GRACE = 0.25
_LOOK_EVERY = 0.1
# A query waits for a node that alone has some graphs this many seconds longer than for all others, or this many times as
# long as the node usually takes. Then it is answered without them, and the answer says so.
_LEAST_WAIT_FOR_THE_ONLY_ONE = 1.0
_MOST_WAIT_FOR_THE_ONLY_ONE = 3.0
_TIMES_USUAL = 20
# With more graphs, taking a snapshot without a node costs more time than it saves.
_MOST_GRAPHS_TO_CHOOSE_FROM = 20_000
_MOST_REASONS = 8
_STOPPING = "this server is stopping"


class Reselected:
    """The outcome of a step after which the query starts again from other nodes.

    Endpoints are slow or have failed, or slow nodes have answered after all.
    """


_RESELECTED = Reselected()


class HedgedRequests:
    """The requests of one query, whichever snapshots it goes through.

    Args:
        endpoints: Connections to the nodes.
        threads: Send the requests.
        budget: The query's budget.
        snapshot_for: Returns a snapshot without the nodes of these ids.
        turn: A number that differs for each query, so that nodes take turns at being spared; ``None``: ask all nodes.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        threads: ThreadPoolExecutor,
        budget: Budget,
        snapshot_for: Callable[[frozenset[str]], Snapshot],
        turn: int | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._threads = threads
        self._budget = budget
        self._snapshot_for = snapshot_for
        self._answers: dict[tuple[Source, str], Future[bytes]] = {}
        self._since: dict[Future[bytes], float] = {}
        self._asked_at: dict[str, float] = {}  # for the first time, or again for another format
        self._heard: dict[tuple[Source, str], float] = {}
        self._took: dict[tuple[Source, str], float] = {}
        self._failed: frozenset[str] = frozenset()
        self._errors: list[SourceFailedError] = []
        self._slow: frozenset[str] = frozenset()
        # Slow nodes that the query does not wait for although they alone have some graphs.
        self._given_up: frozenset[str] = frozenset()
        whole = snapshot_for(frozenset())
        self._revision = whole.revision
        suspects = endpoints.suspects([source.id for source in whole.sources])
        if suspects and self._can_spare(whole, suspects):
            self._slow = suspects
        self._spared = self._not_needed(whole, turn) if turn is not None and not suspects else frozenset()

    @contextmanager
    def failover(self) -> Iterator[Snapshot]:
        """Yield the nodes for one attempt, and exclude those whose failure ends it, unless another format may mend it.

        Raises:
            SourceFailedError: No other node can replace them.
        """
        try:
            yield self.snapshot()
        except SourceFailedError as error:
            if not error.sources or not self.snapshot().sources:
                raise
            asked_at = {node: self._asked_at.pop(node, math.inf) for node in error.sources}
            if isinstance(error, UnreadableRowsError) and self._endpoints.avoid_tsv(asked_at):
                self._answers = {key: answer for key, answer in self._answers.items() if key[0].id not in error.sources}
            else:
                self._exclude([error])

    def snapshot(self) -> Snapshot:
        """Return the nodes to go on with: without those that failed, are slow or can be spared."""
        snapshot = self._snapshot_for(self._failed | self._slow | self._spared)
        if snapshot.revision != self._revision:
            self._reconsider()
            snapshot = self._snapshot_for(self._failed | self._slow)
            self._forget_answers(snapshot)
        return snapshot

    def moved(
        self, before: Snapshot, graphs: frozenset[str] | None = None
    ) -> tuple[Snapshot, frozenset[str]] | Reselected:
        """Return the nodes as they are now, and the graphs to request again by that snapshot.

        Args:
            before: The snapshot by which the nodes were asked.
            graphs: The requested graphs; ``None``: all.

        Returns:
            Both, or ``Reselected`` when the query needs a node that it has not asked.
        """
        now = self._snapshot_for(self._failed | self._slow | self._spared)
        if (
            now.revision != before.revision
            and self._slow | self._spared
            and not set(now.unavailable) <= set(before.unavailable)
        ):
            self._reconsider()
            return _RESELECTED
        again = staleness.moved(before, now, graphs)
        if again:
            self._forget_answers(now)
        return now, again

    def _reconsider(self) -> None:
        """Find the nodes that can still be spared after a change.

        The query does not ask slow nodes again for every change: where offerings come in, something changes all the time.
        """
        if not self._can_spare(self._snapshot_for(self._failed | self._given_up), self._slow):
            self._slow = self._given_up
        self._spared = frozenset()

    def _forget_answers(self, now: Snapshot) -> None:
        """Drop the answers from before a change, which may lack graphs that have moved."""
        self._answers, self._took, self._revision = {}, {}, now.revision

    def ask(
        self, snapshot: Snapshot, sources: Iterable[Source], request: Subquery
    ) -> list[tuple[Source, bytes]] | Reselected:
        """Ask nodes side by side; reuse the answers to earlier requests with the same text.

        Args:
            snapshot: The snapshot that the query goes by.
            sources: The nodes to ask, some of the snapshot's.
            request: The subquery.

        Returns:
            Each node with its answer, or ``Reselected`` when other nodes have to be asked.

        Raises:
            SourceFailedError: No other node can replace those that failed.
            QueryTimeoutError: The deadline has passed.
            QueryCancelledError: The client has gone.
            TooLargeError: The nodes send too much for the budget.
            ServerStoppingError: The engine is closed.
        """
        text = request.text
        waiting = {self._submit(source, request): source for source in sources}
        while True:
            if self._exclude_failed(waiting):
                return _RESELECTED
            pending = {future for future in waiting if not future.done()}
            if not pending:
                return [(source, future.result()) for future, source in waiting.items()]
            if self._replace_slow(snapshot, waiting, pending, text):
                return _RESELECTED
            self._budget.check(_listed(waiting, pending), grace=_GRACE)
            late = {future for (_, asked), future in self._answers.items() if asked == text and not future.done()}
            wait(pending | late, timeout=self._until_next_look(waiting, pending), return_when=FIRST_COMPLETED)

    def _submit(self, source: Source, request: Subquery) -> Future[bytes]:
        future = self._answers.get((source, request.text))
        if future is None:
            # Passed now: after a change of the snapshot, the thread must not record times of an answer that is out of date.
            try:
                future = self._threads.submit(self._ask_one, source, request, self._took)
            except RuntimeError as error:
                raise ServerStoppingError(_STOPPING) from error
            self._answers[source, request.text] = future
            self._since[future] = time.monotonic()
            self._asked_at.setdefault(source.id, self._since[future])
        return future

    def _ask_one(self, source: Source, request: Subquery, took: dict[tuple[Source, str], float]) -> bytes:
        start = time.perf_counter()
        body = self._endpoints.ask(source, request, self._budget, self._heard)
        took[source, request.text] = time.perf_counter() - start
        self._budget.trace.record("ask", source.id, request.text, body.count(b"\n"), len(body), start)
        return body

    def _exclude_failed(self, waiting: dict[Future[bytes], Source]) -> bool:
        """Exclude the nodes that failed; return whether there were any."""
        if any(future.cancelled() for future in waiting):
            raise ServerStoppingError(_STOPPING)
        errors = [error for future in waiting if future.done() and (error := future.exception())]
        if not errors:
            return False
        if any(isinstance(error, QueryTimeoutError) for error in errors):
            raise QueryTimeoutError(f"waited for {_listed(waiting, waiting.keys() - _answered(waiting))}")
        failures = [error for error in errors if isinstance(error, SourceFailedError)]
        if len(errors) > len(failures):
            raise next(error for error in errors if not isinstance(error, SourceFailedError))
        self._exclude(failures)
        return True

    def _exclude(self, failures: Sequence[SourceFailedError]) -> None:
        """Go on without nodes that failed, and with all others, slow ones included.

        Args:
            failures: Their errors.

        Raises:
            SourceFailedError: No other node is left.
        """
        failed = frozenset[str]().union(*(failure.sources for failure in failures))
        reasons = "; ".join(dict.fromkeys(map(str, failures)))
        if failed <= self._failed:
            raise _kind_of(failures)(reasons, failed)
        self._endpoints.report(failed, reasons)
        self._failed |= failed
        self._errors += failures
        self._slow -= failed
        self._spared = frozenset()
        if self._slow and not self._can_spare(self._snapshot_for(self._failed), self._slow):
            self._slow = frozenset()
        if not self.snapshot().sources:
            told = list(dict.fromkeys(map(str, self._errors)))
            others = f"; and {len(told) - _MOST_REASONS} more" if len(told) > _MOST_REASONS else ""
            were_all_up = not self._snapshot_for(frozenset()).unavailable
            raise (_kind_of(self._errors) if were_all_up else SourceFailedError)(
                f"no catalogue node answers as it should: {'; '.join(told[:_MOST_REASONS])}{others}", self._failed
            )

    def _replace_slow(
        self, snapshot: Snapshot, waiting: dict[Future[bytes], Source], pending: set[Future[bytes]], text: str
    ) -> bool:
        """Select other nodes when a slow one has answered, or when others can replace all pending ones.

        Returns:
            Whether the selection has changed.
        """
        if back := {source.id for source, asked in list(self._took) if asked == text} & self._slow:
            self._slow -= back
            return True
        now = time.monotonic()
        overdue = {waiting[future].id for future in pending if now >= self._due(waiting[future], future)}
        if len(overdue) < len(pending):
            return False
        # Endpoints that were slow before may be the only ones that can replace these.
        asked = {source.id for source, words in list(self._answers) if words == text}
        for slow in (self._slow, self._slow & asked):
            others = self._snapshot_for(self._failed | slow | overdue)
            nothing_lost = set(others.unavailable) <= set(snapshot.unavailable)
            if others.sources and nothing_lost:
                break
        if not others.sources or not (nothing_lost or now >= self._last_moment(waiting, pending, text)):
            return False
        self._slow = slow | overdue
        self._spared = frozenset()
        if not nothing_lost:
            self._given_up |= overdue
            self._endpoints.report(overdue, "it is too slow, and no other node has all of its graphs")
        return True

    def _due(self, source: Source, future: Future[bytes]) -> float:
        return self._since[future] + self._endpoints.patience(source.id)

    def _last_moment(self, waiting: dict[Future[bytes], Source], pending: set[Future[bytes]], text: str) -> float:
        """Return when to go on without pending nodes that others cannot replace.

        Never before any node has answered, nor while they keep sending.
        """
        took = [self._took[source, text] for future, source in waiting.items() if future not in pending]
        if not took:
            return math.inf
        usual = max(self._endpoints.patience(waiting[future].id) for future in pending)
        begun = max(max(self._since[future], self._heard.get((waiting[future], text), 0.0)) for future in pending)
        longer = min(max(_LEAST_WAIT_FOR_THE_ONLY_ONE, _TIMES_USUAL * usual), _MOST_WAIT_FOR_THE_ONLY_ONE)
        return begun + max(took) + longer

    def _until_next_look(self, waiting: dict[Future[bytes], Source], pending: set[Future[bytes]]) -> float:
        now = time.monotonic()
        due = [self._due(waiting[future], future) - now for future in pending]
        return min([_LOOK_EVERY, *(seconds for seconds in due if seconds > 0)])

    def _not_needed(self, whole: Snapshot, turn: int) -> frozenset[str]:
        """Return a node to spare: with two copies of each graph, others have the same content as this one."""
        knows_all = bool(whole.version) and whole.untracked == frozenset()  # providers may add to what they put there
        if len(whole.sources) < 2 or not knows_all or len(whole.source_of) > _MOST_GRAPHS_TO_CHOOSE_FROM:
            return frozenset()
        node = frozenset({whole.sources[turn % len(whole.sources)].id})
        others = self._snapshot_for(node)
        shows_the_same = (others.version, others.unavailable, others.untracked) == (
            whole.version,
            whole.unavailable,
            whole.untracked,
        )
        return node if shows_the_same and others.sources else frozenset()

    def _can_spare(self, whole: Snapshot, nodes: frozenset[str]) -> bool:
        others = self._snapshot_for(self._failed | nodes)
        return bool(others.sources) and set(others.unavailable) <= set(whole.unavailable)


def _kind_of(failures: Iterable[SourceFailedError]) -> type[SourceFailedError]:
    """Return the class of an error that stands for several; asking again may help where they differ."""
    for kind in (BadAnswerError, SilentSourceError):
        if all(isinstance(failure, kind) for failure in failures):
            return kind
    return SourceFailedError


def _answered(waiting: dict[Future[bytes], Source]) -> set[Future[bytes]]:
    return {future for future in waiting if future.done() and not future.exception()}


def _listed(waiting: dict[Future[bytes], Source], futures: Iterable[Future[bytes]]) -> str:
    return "nodes " + ", ".join(sorted(waiting[future].id for future in futures))
