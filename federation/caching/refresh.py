"""The filling of the quad cache, and its updates."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

from federation.analysis.plan import Dataset, Pattern, Plan
from federation.budget import Budget, Limits, MemoryPool
from federation.caching.quad_cache import QuadCache, covering, wanted
from federation.errors import FederationError, TooLargeError
from federation.execution import NO_PLAN, Backend, QueryExecution
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.merge import MergedQuads
from federation.source_selection import Snapshot

# A query updates at most this many graphs itself; more are updated in the background.
_MAX_AT_ONCE = 50
_PATTERNS_REMEMBERED = 2000
_WAIT_FOR_ANOTHER = 0.05
# Bytes that nodes may send for each quad that the cache may hold, copies included.
_BYTES_SENT_FOR_A_QUAD = 1000

SnapshotFor = Callable[[frozenset[str]], Snapshot]
_Work = Callable[[QueryExecution], Reselected | None]


class Refresher:
    """Decides whether cached quads can answer a query, and fetches quads into the cache. May be used by many threads.

    It caches patterns that queries ask for twice, fetched by a thread of its own: the queries go on without.

    Args:
        cache: The cached quads.
        backend: The engine's shared parts.
        timeout: Seconds that one fetch in the background may take.
        memory_pool: The memory that all queries share.
    """

    def __init__(self, cache: QuadCache, backend: Backend, timeout: float, memory_pool: MemoryPool) -> None:
        self._cache = cache
        self._backend = backend
        self._timeout = timeout
        self._memory_pool = memory_pool
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="refresh")
        self._changing = threading.Lock()
        self._numbers = count(1_000_000, 1_000_000)
        self._seen: OrderedDict[tuple[Pattern, ...], bool] = OrderedDict()
        self._wanted: set[Pattern] = set()
        self._refused: set[Pattern] = set()
        self._under_way: set[str] = set()

    def serves(self, plan: Plan, execution: QueryExecution, snapshot_for: SnapshotFor) -> bool | Reselected:
        """Return whether cached quads answer a query now; if not, they may do so later.

        Args:
            plan: The quads that the query can match, in all graphs.
            execution: The query over the selected nodes.
            snapshot_for: As for ``Engine.answer``, for fetches in the background.

        Raises:
            FederationError: The query could not update the cache; see ``QueryExecution.fetch``.
        """
        snapshot = execution.snapshot
        if not snapshot.version or snapshot.untracked is None or snapshot.unavailable or not snapshot.sources:
            return False
        if not self._cache.covers(plan):
            self._note_demand(plan, snapshot_for)
            return False
        if self._cache.is_current(snapshot):
            if self._cache.is_ageing():
                self._soon("refresh", self._refresh, snapshot_for)
            return True
        if len(self._cache.changed(snapshot)) > _MAX_AT_ONCE or not self._changing.acquire(timeout=_WAIT_FOR_ANOTHER):
            self._soon("refresh", self._refresh, snapshot_for)
            return False
        try:
            outcome = self._update(execution)
            return outcome or (self._cache.is_current(snapshot) and self._cache.covers(plan))
        finally:
            self._changing.release()

    def give_up(self) -> None:
        """Empty the cache, and cache these patterns never again: an evaluator cannot hold them."""
        self._refused |= set(self._cache.patterns)
        self._cache.forget()

    def close(self) -> None:
        """Start no more fetches."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _note_demand(self, plan: Plan, snapshot_for: SnapshotFor) -> None:
        """Cache the patterns that a query asks for a second time."""
        patterns = wanted(plan)
        if patterns not in self._seen:
            self._seen[patterns] = True
            while len(self._seen) > _PATTERNS_REMEMBERED:
                self._seen.popitem(last=False)
        elif not self._refused & set(patterns):
            self._wanted |= set(patterns)
            self._soon("extend", self._extend, snapshot_for)

    def _soon(self, name: str, work: _Work, snapshot_for: SnapshotFor) -> None:
        if name not in self._under_way:
            self._under_way.add(name)
            with suppress(RuntimeError):  # the engine is closing
                self._thread.submit(self._run, name, work, snapshot_for)

    def _run(self, name: str, work: _Work, snapshot_for: SnapshotFor) -> None:
        """Do work in the background, again from other nodes when some fail or are slow."""
        most = self._cache.max_quads
        limits = Limits(max_triples=most, max_fetched_bytes=most * _BYTES_SENT_FOR_A_QUAD)
        budget = Budget(self._timeout, limits, memory_pool=self._memory_pool)
        everything = Dataset(frozenset(), None)
        try:
            requests = HedgedRequests(self._backend.endpoints, self._backend.threads, budget, snapshot_for)
            outcome: Reselected | None = Reselected()
            while outcome:
                with requests.failover() as snapshot:
                    outcome = work(QueryExecution(self._backend, NO_PLAN, everything, snapshot, budget, requests))
        except FederationError:
            pass  # the next query meets the same error, and reports it
        finally:
            budget.end()
            self._under_way.discard(name)

    def _refresh(self, execution: QueryExecution) -> Reselected | None:
        with self._changing:
            return self._update(execution)

    def _update(self, execution: QueryExecution) -> Reselected | None:
        """Refetch the graphs that have changed."""
        began, changed = time.monotonic(), self._cache.changed(execution.snapshot)
        try:
            fetched = self._fetch(execution, self._cache.patterns if changed else (), changed)
        except TooLargeError:
            self.give_up()  # or every query would meet it again
            raise
        if isinstance(fetched, Reselected):
            return fetched
        merged, shown = fetched
        self._cache.update(shown, changed, merged, began)
        return None

    def _extend(self, execution: QueryExecution) -> Reselected | None:
        """Refetch all patterns: all quads of a graph come in one answer of one node, and so from one state of it."""
        with self._changing:
            new, began = frozenset(self._wanted), time.monotonic()
            patterns = _widest({*self._cache.patterns, *new})
            try:
                fetched = self._fetch(execution, patterns, None)
                if isinstance(fetched, Reselected):
                    return fetched
                merged, shown = fetched
                fits = self._cache.replace(shown, merged, patterns, began)
            except TooLargeError:
                fits = False
            self._wanted -= new
            if not fits:
                self._refused |= new
            return None

    def _fetch(
        self, execution: QueryExecution, patterns: tuple[Pattern, ...], graphs: frozenset[str] | None
    ) -> tuple[MergedQuads, Snapshot] | Reselected:
        """Fetch the matches of patterns in some graphs, or all.

        Returns:
            The quads, and a snapshot of the data as it was read.
        """
        fetching = execution.over_named_graphs(graphs, next(self._numbers))
        merged = fetching.fetch(patterns)
        if isinstance(merged, Reselected):
            return merged
        merged.escape_iris()
        return merged, fetching.as_read()


def _widest(patterns: Set[Pattern]) -> tuple[Pattern, ...]:
    """Return the patterns that no other one covers."""
    return tuple(one for one in patterns if not any(wider in patterns for wider in covering(one) if wider != one))
