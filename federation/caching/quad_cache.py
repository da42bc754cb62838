"""A cache of the quads that earlier queries fetched.

A store that holds the quads that a query's patterns match, and any others of the same dataset, gives the same answer as the
whole dataset (see ``Plan.patterns``). So one store serves every query whose patterns some query has fetched. The cache is
updated graph by graph: it refetches a graph when its fingerprint changes, and graphs without fingerprints, which providers
put on nodes themselves, from time to time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from federation.analysis.plan import ANY_NAMED_GRAPH, Pattern, Plan
from federation.errors import NotCachedError
from federation.fetching.merge import MergedQuads, iri
from federation.source_selection import Snapshot

# Graphs without fingerprints are refetched when this part of their time is left, so that no query waits.
_AHEAD = 0.3
# Graphs without fingerprints count as current for so many seconds, or for so many times a fetch, whichever is longer.
MIN_SECONDS = 5.0
_TIMES_FETCH = 20
_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"


class Delta(NamedTuple):
    """The changes that an evaluator needs to hold the cached quads.

    Attributes:
        generation: The cache's generation after them.
        reset: Whether to begin with an empty store.
        removed: Graphs to remove first.
        quads: N-Quads of named graphs to add; their triples belong into the default graph as well.
        graphs: Graphs that exist, whether they have quads or not.
    """

    generation: int
    reset: bool
    removed: tuple[str, ...]
    quads: bytes
    graphs: tuple[str, ...]


class _Graph(NamedTuple):
    """The cached quads of one graph.

    Attributes:
        generation: The generation that brought them.
        quads: N-Quads; none of a removed graph.
    """

    generation: int
    quads: bytes = b""


class QuadCache:
    """Cached quads of all named graphs. May be used by many threads; one at a time changes it.

    Args:
        max_quads: Its size.
        seconds: For how long graphs without fingerprints count as current at most.

    Attributes:
        max_quads: Its size.
    """

    def __init__(self, max_quads: int, seconds: float) -> None:
        self.max_quads = max_quads
        self._seconds = seconds
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._patterns: tuple[Pattern, ...] = ()
        self._lookup: frozenset[Pattern] = frozenset()
        self._graphs: dict[str, _Graph] = {}
        self._fingerprints: Mapping[str, int] = {}
        self._untracked: frozenset[str] = frozenset()
        self._version = ""
        self._revision = 0
        self._until = 0.0
        self._lasts = self._seconds
        self._generation = getattr(self, "_generation", 0) + 1
        self._began = self._generation
        self._count = 0

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns whose matches it holds, in all named graphs."""
        return self._patterns

    @property
    def count(self) -> int:
        """The number of quads."""
        return self._count

    def covers(self, plan: Plan) -> bool:
        """Return whether it holds the matches of all patterns of a query."""
        mine = self._lookup
        return all(any(wider in mine for wider in covering(wanted)) for wanted in plan.patterns)

    def is_current(self, snapshot: Snapshot) -> bool:
        """Return whether its quads are those that a snapshot shows."""
        with self._lock:
            fresh = not self._untracked or time.monotonic() < self._until
            says_the_same = bool(snapshot.version) and snapshot.version == self._version
            return fresh and says_the_same and snapshot.last_removal <= self._revision

    def is_ageing(self) -> bool:
        """Return whether graphs without fingerprints should be refetched soon."""
        return bool(self._untracked) and time.monotonic() > self._until - _AHEAD * self._lasts

    def seconds_left(self) -> float:
        """Return for how long an answer from it may be cached itself."""
        return self._until - time.monotonic() if self._untracked else self._seconds

    def changed(self, snapshot: Snapshot) -> frozenset[str]:
        """Return the graphs to refetch for a snapshot.

        Those are the graphs whose fingerprint has changed, and those of which a copy was removed since, even if their
        fingerprint has not changed.
        """
        untracked = snapshot.untracked or frozenset()
        with self._lock:
            found = {
                graph
                for graph, fingerprint in snapshot.fingerprints.items()
                if self._fingerprints.get(graph) != fingerprint
            }
            found |= {
                graph
                for graph, at in snapshot.removed_at.items()
                if at > self._revision and graph in snapshot.fingerprints
            }
            ageing = time.monotonic() > self._until - _AHEAD * self._lasts
            return frozenset(found | (untracked if ageing else untracked - self._untracked))

    def update(self, snapshot: Snapshot, changed: frozenset[str], merged: MergedQuads, began: float) -> None:
        """Take in the refetched quads of some graphs, and remove deleted graphs.

        Args:
            snapshot: The snapshot that the cache then shows.
            changed: The graphs of which all patterns' matches were fetched, each in one answer.
            merged: The fetched quads, of named graphs.
            began: When the fetch began, by ``time.monotonic()``.
        """
        with self._lock:
            generation = self._generation = self._generation + 1
            names = self._fingerprints.keys() | self._untracked
            untracked = snapshot.untracked or frozenset()
            for name in (names - snapshot.fingerprints.keys() - untracked) | changed:
                self._graphs[name] = _Graph(generation)
            for name, quads in _by_graph(merged).items():
                self._graphs[name] = _Graph(generation, quads)
            if untracked <= changed:
                self._last_from(began)
            self._note(snapshot)

    def replace(self, snapshot: Snapshot, merged: MergedQuads, patterns: tuple[Pattern, ...], began: float) -> bool:
        """Replace all quads by the matches of other patterns.

        Args:
            snapshot: The snapshot that the cache then shows.
            merged: The matches of all patterns in all graphs, those of one graph in one answer.
            patterns: All patterns.
            began: When the fetch began, by ``time.monotonic()``.

        Returns:
            Whether there was room; if not, the cache stays unchanged.
        """
        if len(merged.named) > self.max_quads:
            return False
        with self._lock:
            self._generation += 1
            self._began = self._generation
            self._graphs = {name: _Graph(self._generation, quads) for name, quads in _by_graph(merged).items()}
            self._patterns, self._lookup = patterns, frozenset(patterns)
            self._last_from(began)
            self._note(snapshot)
            return True

    def _last_from(self, began: float) -> None:
        """Refetch graphs without fingerprints soon, but not so often that there is time for little else."""
        took = time.monotonic() - began
        self._lasts = min(self._seconds, max(MIN_SECONDS, _TIMES_FETCH * took))
        self._until = began + self._lasts

    def _note(self, snapshot: Snapshot) -> None:
        # Fetched graphs that no node lists, not yet or not any more, have no fingerprints either.
        unlisted = {name for name, graph in self._graphs.items() if graph.quads and name not in snapshot.fingerprints}
        self._fingerprints, self._untracked = snapshot.fingerprints, (snapshot.untracked or frozenset()) | unlisted
        self._version, self._revision = snapshot.version, snapshot.revision
        self._count = sum(graph.quads.count(b"\n") for graph in self._graphs.values())
        if self._count > self.max_quads:
            self._forget()

    def forget(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._forget()

    def delta(self, generation: int, plan: Plan) -> Delta | None:
        """Return the changes since a generation; ``None``: there are none.

        Args:
            generation: The generation that the evaluator holds.
            plan: The plan of the query to evaluate.

        Raises:
            NotCachedError: The cache does not hold the quads for that query any more.
        """
        with self._lock:
            if not self._version or not self.covers(plan):  # the names of graphs need no patterns
                raise NotCachedError("the cache does not hold the query's quads any more")
            if generation == self._generation:
                return None
            reset = generation < self._began
            new = {name: graph for name, graph in self._graphs.items() if reset or graph.generation > generation}
            quads = b"".join(graph.quads for graph in new.values())
            names = tuple(self._fingerprints.keys() | self._untracked)
            return Delta(self._generation, reset, () if reset else tuple(new), quads, names)


def _by_graph(merged: MergedQuads) -> dict[str, bytes]:
    """Return the N-Quads of each graph."""
    lines: dict[bytes, list[bytes]] = {}
    for line in merged.named:
        lines.setdefault(line[line.rfind(b"\t") + 1 :], []).append(line)
    return {iri(graph): b" .\n".join([*those, b""]) for graph, those in lines.items()}


def wanted(plan: Plan) -> tuple[Pattern, ...]:
    """Return the patterns to cache for a query: its own, in all graphs, with any subject and object for other queries."""
    return tuple(dict.fromkeys(map(_with_others, plan.patterns)))


def _with_others(pattern: Pattern) -> Pattern:
    if pattern.predicate is None:
        return Pattern(ANY_NAMED_GRAPH)  # every triple about one thing: the next query asks about another one
    kind = pattern.object if pattern.predicate == _TYPE else None  # there are many things, of few kinds
    return Pattern(ANY_NAMED_GRAPH, None, pattern.predicate, kind)


def covering(pattern: Pattern) -> Iterator[Pattern]:
    """Yield the patterns of all graphs that match whatever one matches: few enough to look each up in a set."""
    for terms in product(*({term, None} for term in _terms(pattern))):
        yield Pattern(ANY_NAMED_GRAPH, *terms)


def _terms(pattern: Pattern) -> tuple[str | None, str | None, str | None]:
    return pattern.subject, pattern.predicate, pattern.object
