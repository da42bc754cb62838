"""Quads of earlier queries, kept so that later ones find them here.

A store that holds the quads that a query's patterns match, and any others of the same dataset, gives the query the answer that
the whole dataset gives (see ``Plan.patterns``). So one store serves every query whose patterns have been pulled once, whoever
asked for them. It is brought up to date by graphs: those whose placements say that they have changed are pulled anew, and those
of which nobody says so, because their providers put them on their nodes, from time to time.
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

# The part of the time for which graphs count as known at whose beginning they are pulled anew already, so that no query waits.
_AHEAD = 0.3
# Seconds for which graphs that nobody placed count as known: so many, or so many times what pulling took, whichever is longer.
AT_LEAST = 5.0
_TIMES_PULLING = 20
_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"


class Delta(NamedTuple):
    """What an evaluator has to do to hold what is kept.

    Attributes:
        generation: What it then holds.
        anew: Whether to begin with nothing.
        gone: Graphs to remove first.
        quads: N-Quads to add, each named graph's; the triples belong into the default graph as well.
        graphs: Graphs that exist, whether they have quads or not.
    """

    generation: int
    anew: bool
    gone: tuple[str, ...]
    quads: bytes
    graphs: tuple[str, ...]


class _Graph(NamedTuple):
    """What is kept of one graph.

    Attributes:
        generation: The one that brought it.
        quads: N-Quads; none of a graph that is gone.
    """

    generation: int
    quads: bytes = b""


class QuadCache:
    """The quads that are kept. May be used by many threads; one at a time changes it.

    Args:
        most_quads: How many may be kept.
        seconds: For how long a graph counts as known at most of which nobody says when it changes.

    Attributes:
        most_quads: How many may be kept.
    """

    def __init__(self, most_quads: int, seconds: float) -> None:
        self.most_quads = most_quads
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
        """The patterns whose matches are kept, those of all named graphs."""
        return self._patterns

    @property
    def count(self) -> int:
        """How many quads are kept."""
        return self._count

    def covers(self, plan: Plan) -> bool:
        """Whether the matches of all of a query's patterns are kept."""
        mine = self._lookup
        return all(any(wider in mine for wider in covering(wanted)) for wanted in plan.patterns)

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether what is kept is what a snapshot shows."""
        with self._lock:
            fresh = not self._untracked or time.monotonic() < self._until
            says_the_same = bool(snapshot.version) and snapshot.version == self._version
            return fresh and says_the_same and snapshot.last_removal <= self._revision

    def is_ageing(self) -> bool:
        """Whether graphs of which nobody says when they change should be pulled anew soon."""
        return bool(self._untracked) and time.monotonic() > self._until - _AHEAD * self._lasts

    def seconds_left(self) -> float:
        """For how long an answer from what is kept may be kept itself."""
        return self._until - time.monotonic() if self._untracked else self._seconds

    def changed(self, snapshot: Snapshot) -> frozenset[str]:
        """The graphs to pull anew for a snapshot."""
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
        """Take in what was pulled anew of some graphs, and what is gone.

        Args:
            snapshot: What is kept by then.
            changed: The graphs of which all patterns' matches were pulled, each in one answer.
            merged: What was pulled: quads of named graphs.
            began: When pulling began, by ``time.monotonic()``.
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
        """Keep the matches of other patterns, in place of what was kept.

        Args:
            snapshot: What is kept by then.
            merged: The matches of all patterns in all graphs, those of one graph in one answer.
            patterns: All patterns.
            began: When pulling began, by ``time.monotonic()``.

        Returns:
            Whether there was room; if not, all stays as it was.
        """
        if len(merged.named) > self.most_quads:
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
        """Look at graphs that nobody placed again soon, but without doing little else."""
        pulling = time.monotonic() - began
        self._lasts = min(self._seconds, max(AT_LEAST, _TIMES_PULLING * pulling))
        self._until = began + self._lasts

    def _note(self, snapshot: Snapshot) -> None:
        # What came of graphs that nobody lists, not yet or not any more, ages as well.
        unlisted = {name for name, graph in self._graphs.items() if graph.quads and name not in snapshot.fingerprints}
        self._fingerprints, self._untracked = snapshot.fingerprints, (snapshot.untracked or frozenset()) | unlisted
        self._version, self._revision = snapshot.version, snapshot.revision
        self._count = sum(graph.quads.count(b"\n") for graph in self._graphs.values())
        if self._count > self.most_quads:
            self._forget()

    def forget(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._forget()

    def delta(self, generation: int, plan: Plan) -> Delta | None:
        """What an evaluator lacks that holds what was kept at a generation; ``None``: nothing.

        Args:
            generation: See ``Delta.generation``.
            plan: What the query can see that is to be evaluated.

        Raises:
            NotCachedError: That is not kept any more.
        """
        with self._lock:
            if not self._version or not self.covers(plan):  # the names of graphs need no patterns
                raise NotCachedError("what the query can see is not kept any more")
            if generation == self._generation:
                return None
            anew = generation < self._began
            new = {name: graph for name, graph in self._graphs.items() if anew or graph.generation > generation}
            quads = b"".join(graph.quads for graph in new.values())
            names = tuple(self._fingerprints.keys() | self._untracked)
            return Delta(self._generation, anew, () if anew else tuple(new), quads, names)


def _by_graph(merged: MergedQuads) -> dict[str, bytes]:
    """N-Quads of each graph."""
    lines: dict[bytes, list[bytes]] = {}
    for line in merged.named:
        lines.setdefault(line[line.rfind(b"\t") + 1 :], []).append(line)
    return {iri(graph): b" .\n".join([*those, b""]) for graph, those in lines.items()}


def wanted(plan: Plan) -> tuple[Pattern, ...]:
    """The patterns to keep for a query: its own, in all graphs, and with any subject and object, for other queries."""
    return tuple(dict.fromkeys(map(_with_others, plan.patterns)))


def _with_others(pattern: Pattern) -> Pattern:
    if pattern.predicate is None:
        return Pattern(ANY_NAMED_GRAPH)  # all that is said of one thing: the next query asks for another one
    kind = pattern.object if pattern.predicate == _TYPE else None  # there are many things, of few kinds
    return Pattern(ANY_NAMED_GRAPH, None, pattern.predicate, kind)


def covering(pattern: Pattern) -> Iterator[Pattern]:
    """The patterns of all graphs that match whatever one matches: so many that they can be looked for among any number."""
    for terms in product(*({term, None} for term in _terms(pattern))):
        yield Pattern(ANY_NAMED_GRAPH, *terms)


def _terms(pattern: Pattern) -> tuple[str | None, str | None, str | None]:
    return pattern.subject, pattern.predicate, pattern.object
