"""When quads are kept for later queries, and how they stay up to date."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from federation.analysis.plan import Pattern, Plan
from federation.caching.quad_cache import Kept, covering, wanted
from federation.errors import FederationError, TooLarge
from federation.fetching.merge import Rows
from federation.source_selection import Snapshot

# More graphs than these are brought up to date behind the queries' backs.
_MOST_AT_ONCE = 50
_PATTERNS_REMEMBERED = 2000
_WAIT_FOR_ANOTHER = 0.05


class Pulled(NamedTuple):
    """Matches of patterns.

    Attributes:
        rows: The quads.
        snapshot: What they show of the graphs that were asked for, and of the others what the snapshot says that nodes were
            asked by.
    """

    rows: Rows
    snapshot: Snapshot


Pull = Callable[[Snapshot, tuple[Pattern, ...], "frozenset[str] | None", int], Pulled]
"""Pulls the matches of patterns in some graphs, or all, by a snapshot; the number tells blank nodes of answers apart."""

Work = Callable[[Snapshot, Pull], None]
Later = Callable[[Work], None]


class Keeping:
    """Decides whether a query can be answered from kept quads. May be used by many threads.

    Patterns that are asked for twice are kept, pulled by a thread of its own: the queries go on without.

    Args:
        kept: What is kept.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keeping")
        self._changing = threading.Lock()
        self._numbers = count(1_000_000, 1_000_000)
        self._seen: OrderedDict[tuple[Pattern, ...], bool] = OrderedDict()
        self._wanted: set[Pattern] = set()
        self._refused: set[Pattern] = set()
        self._under_way: set[object] = set()

    def serves(self, plan: Plan, snapshot: Snapshot, pull: Pull, later: Later) -> bool:
        """Whether what is kept answers a query by a snapshot; if not, it may do so later.

        Args:
            plan: What the query can see, in all graphs.
            snapshot: The nodes as they are now.
            pull: Pulls for this query.
            later: Does some work with a snapshot and a way to pull by it, again with other nodes when some fail.
        """
        if not snapshot.version or snapshot.unmarked is None or snapshot.missing or not snapshot.sources:
            return False
        if not self._kept.covers(plan):
            self._note(plan, later)
            return False
        if self._kept.is_current(snapshot):
            if self._kept.is_ageing():
                self._soon("refresh", self._refresh, later)
            return True
        if len(self._kept.changed(snapshot)) > _MOST_AT_ONCE or not self._changing.acquire(timeout=_WAIT_FOR_ANOTHER):
            self._soon("refresh", self._refresh, later)
            return False
        try:
            self._bring_up_to_date(snapshot, pull)
            return self._kept.is_current(snapshot) and self._kept.covers(plan)
        finally:
            self._changing.release()

    def give_up(self) -> None:
        """Keep nothing of what is kept: an evaluator cannot hold it."""
        self._refused |= set(self._kept.patterns)
        self._kept.forget()

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _note(self, plan: Plan, later: Later) -> None:
        """Keep what is asked for a second time."""
        patterns = wanted(plan)
        if patterns not in self._seen:
            self._seen[patterns] = True
            while len(self._seen) > _PATTERNS_REMEMBERED:
                self._seen.popitem(last=False)
        elif not self._refused & set(patterns):
            self._wanted |= set(patterns)
            self._soon("extend", self._extend, later)

    def _soon(self, name: object, work: Work, later: Later) -> None:
        if name in self._under_way:
            return
        self._under_way.add(name)

        def run() -> None:
            try:
                with suppress(FederationError):  # which the next query meets as well, and tells
                    later(work)
            finally:
                self._under_way.discard(name)

        with suppress(RuntimeError):  # the engine is closing
            self._thread.submit(run)

    def _refresh(self, snapshot: Snapshot, pull: Pull) -> None:
        with self._changing:
            self._bring_up_to_date(snapshot, pull)

    def _bring_up_to_date(self, snapshot: Snapshot, pull: Pull) -> None:
        began, changed = time.monotonic(), self._kept.changed(snapshot)
        try:
            rows, shown = self._pulled(snapshot, pull, self._kept.patterns if changed else (), changed)
        except TooLarge:
            self.give_up()  # or every query would meet it again
            raise
        self._kept.update(shown, changed, rows, began)

    def _extend(self, snapshot: Snapshot, pull: Pull) -> None:
        """Pull all anew: what is kept of one graph comes in one answer of one node, so that it is of one state."""
        with self._changing:
            new, began = frozenset(self._wanted), time.monotonic()
            patterns = _widest({*self._kept.patterns, *new})
            try:
                rows, shown = self._pulled(snapshot, pull, patterns, None)
                fits = self._kept.replace(shown, rows, patterns, began)
            except TooLarge:
                fits = False
            self._wanted -= new
            if not fits:
                self._refused |= new

    def _pulled(
        self, snapshot: Snapshot, pull: Pull, patterns: tuple[Pattern, ...], graphs: frozenset[str] | None
    ) -> Pulled:
        pulled = pull(snapshot, patterns, graphs, next(self._numbers))
        pulled.rows.mend()
        return pulled


def _widest(patterns: Set[Pattern]) -> tuple[Pattern, ...]:
    """Those of some patterns that no other one covers."""
    return tuple(one for one in patterns if not any(wider in patterns for wider in covering(one) if wider != one))
