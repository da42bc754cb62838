"""Which graphs may have been deleted where they were read, before that node answered, or read in two states.

A copy is told to go when others have been acknowledged, and every gateway hears of both. So a graph whose copies have neither
come nor gone from before the nodes were asked until after they had answered was there all the time, and was read whole,
whatever was written to it in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source


class Round(NamedTuple):
    """One question to the nodes.

    Attributes:
        before: The snapshot that they were asked by, taken before that.
        asked: What they were asked.
        now: Another snapshot, taken after they had answered.
        moved: The graphs that are to be asked for once more: nothing that was sent of them counts.
    """

    before: Snapshot
    asked: Subquery
    now: Snapshot
    moved: frozenset[str]

    def counts(self, source: Source) -> Callable[[str], bool]:
        """Tells of graphs, by their IRIs, whether they are read from a node's answer."""
        before, graphs, moved, node = self.before, self.asked.graphs, self.moved, source.id
        return lambda graph: before.reads(graph, node) and graph not in moved and (graphs is None or graph in graphs)

    def missing(self) -> set[str]:
        """The ids of nodes whose graphs may be missing: those that were not there from the beginning, or that went meanwhile.

        A graph of a node that has gone meanwhile was read whole if it had neither come there nor gone.
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
    """Whether the catalogue said what a snapshot says before each of some rounds and after it."""
    return all(done.before.version == done.now.version == snapshot.version for done in rounds)


def as_read(snapshot: Snapshot, rounds: Sequence[Round]) -> Snapshot:
    """A snapshot with the fingerprints of what was read by some rounds that began with it, where these still hold at their end.

    What was read later than by the snapshot may be an older copy, or one that nobody knows of.

    Args:
        snapshot: The nodes as they were at the beginning.
        rounds: All that was asked since, one round after the other.
    """
    if is_of_one_version(snapshot, rounds):
        return snapshot
    fingerprints = dict(snapshot.fingerprints)
    for done in rounds:
        for graph in (
            done.before.fingerprints.keys() | fingerprints.keys() if done.asked.graphs is None else done.asked.graphs
        ):
            fingerprint = done.before.fingerprints.get(graph)
            if graph in done.moved or fingerprint is None or rounds[-1].now.fingerprints.get(graph) != fingerprint:
                fingerprints.pop(graph, None)
            else:
                fingerprints[graph] = fingerprint
    if fingerprints == snapshot.fingerprints:
        return snapshot
    return replace(snapshot, fingerprints=fingerprints, version=f"{snapshot.version} in part")


def moved(before: Snapshot, now: Snapshot, graphs: frozenset[str] | None) -> frozenset[str]:
    """The graphs that have to be asked for once more, where they are now.

    Those that no live node is known to hold now are none of them: there is nobody to ask.

    Args:
        before: The snapshot that the nodes were asked by, taken before that.
        now: Another one, taken after they had answered.
        graphs: Those that they were asked for; ``None``: all.
    """
    if now.revision == before.revision:
        return frozenset()
    if graphs is None:
        graphs = _changed(before, now)
    return frozenset(graph for graph in graphs if _has_moved(graph, before, now))


def _changed(before: Snapshot, now: Snapshot) -> frozenset[str]:
    """The only graphs that may have moved, found in one go: there are many, and something changes for most queries."""
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
        # It is not to be seen any more. What one node sent of it is of the time before; of several it may be too much.
        return _read_from(graph, before) is None
    if now.moved_at.get(graph, 0) > before.revision:
        return True
    if graph in before.fingerprints and graph in now.fingerprints:
        # Of copies that are written in their place now one is the newer, now the other; they are all there all the time.
        return not now.is_live(before.source_of.get(graph, ""))
    return _read_from(graph, before) != _read_from(graph, now)


def _read_from(graph: str, snapshot: Snapshot) -> str | None:
    """The id of the node; empty: none; ``None``: any."""
    return "" if graph in snapshot.tombstoned else snapshot.source_of.get(graph)
