"""Stale reads: graphs that a node may have lost before it answered, or sent in two states.

A node is told to delete a copy when others have been acknowledged, and every gateway hears of both. So the query read a graph
whole if its copies neither came nor went from before the request until after the answer, whatever was written in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source


class Round(NamedTuple):
    """One subquery to the nodes.

    Attributes:
        before: The snapshot by which the nodes were asked.
        asked: The subquery.
        now: Another snapshot, from after the last answer.
        moved: The graphs to request again: the query drops all their rows.
        unlisted: The first node to send rows of each graph that no list names.
    """

    before: Snapshot
    asked: Subquery
    now: Snapshot
    moved: frozenset[str]
    unlisted: dict[str, str]

    def counts(self, source: Source) -> Callable[[str], bool]:
        """Return a test for graphs, by IRI, of whether the query reads them from a node's answer.

        A graph that no list names yet may be on several nodes: the query reads it from the first that sends it.
        """
        graphs, moved, node = self.asked.graphs, self.moved, source.id
        source_of, tombstoned = self.before.source_of, self.before.tombstoned

        def test(graph: str) -> bool:
            reader = source_of.get(graph)
            if reader is not None and reader != node:
                return False
            if graph in tombstoned or graph in moved or not (graphs is None or graph in graphs):
                return False
            return reader is not None or self.unlisted.setdefault(graph, node) == node

        return test

    def missing(self) -> set[str]:
        """Return the ids of nodes whose graphs the answer may lack: unavailable before, or since.

        Of a node that went meanwhile, the query read each graph whole that had neither come there nor gone.
        """
        before, graphs, now = self.before, self.asked.graphs, self.now
        missing = set[str]()
        if graphs is None or not all(map(before.is_confirmed, graphs)):
            missing.update(before.unavailable)
        if now.revision != before.revision and now.unavailable:
            looked_at: Iterable[str] = now.source_of if graphs is None else graphs
            if any(not now.is_confirmed(graph) and now.moved_at.get(graph, 0) > before.revision for graph in looked_at):
                missing.update(now.unavailable)
        return missing


def is_of_one_version(snapshot: Snapshot, rounds: Iterable[Round]) -> bool:
    """Return whether the catalogue had a snapshot's version before each of some rounds and after it."""
    return all(done.before.version == done.now.version == snapshot.version for done in rounds)


def moved(before: Snapshot, now: Snapshot, graphs: frozenset[str] | None) -> frozenset[str]:
    """Return the graphs to request again, from where they are now.

    Graphs that no live node is known to have are not among them: no node could answer.

    Args:
        before: The snapshot by which the nodes were asked.
        now: Another one, from after the last answer.
        graphs: The requested graphs; ``None``: all.
    """
    if now.revision == before.revision:
        return frozenset()
    if graphs is None:
        graphs = _changed(before, now)
    return frozenset(graph for graph in graphs if _has_moved(graph, before, now))


def _changed(before: Snapshot, now: Snapshot) -> frozenset[str]:
    """Return the only graphs that may have moved, all at once: there are many, and something changes for most queries."""
    held, moved_at, revision = before.source_of, now.moved_at, before.revision
    changed = {
        graph
        for graph, holder in now.source_of.items()
        if held.get(graph) != holder or moved_at.get(graph, 0) > revision
    }
    return frozenset(changed | (held.keys() - now.source_of.keys()) | (before.tombstoned ^ now.tombstoned))


def _has_moved(graph: str, before: Snapshot, now: Snapshot) -> bool:
    if graph in now.source_of and not now.is_confirmed(graph):
        return False
    if graph in now.tombstoned:
        # Queries ignore it from now on. The rows of one node are of the time before; those of several may be too many.
        return _read_from(graph, before) is None
    if now.moved_at.get(graph, 0) > before.revision:
        return True
    if graph in before.fingerprints and graph in now.fingerprints:
        # While copies are overwritten in place, now one is newer, now another; all of them exist all the time.
        return not now.is_live(before.source_of.get(graph, ""))
    return _read_from(graph, before) != _read_from(graph, now)


def _read_from(graph: str, snapshot: Snapshot) -> str | None:
    """Return the id of the node; empty: none; ``None``: any."""
    return "" if graph in snapshot.tombstoned else snapshot.source_of.get(graph)
