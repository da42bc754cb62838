"""What one question to the nodes is worth, once they have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from federation.fetching.subquery import Request
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
    asked: Request
    now: Snapshot
    moved: frozenset[str]

    def counts(self, source: Source) -> Callable[[str], bool]:
        """Tells of graphs, by their IRIs, whether they are read from a node's answer."""
        before, graphs, moved, node = self.before, self.asked.graphs, self.moved, source.id
        return lambda graph: before.keeps(graph, node) and graph not in moved and (graphs is None or graph in graphs)

    def missing(self) -> set[str]:
        """The ids of nodes whose graphs may be missing: those that were not there from the beginning, or that went meanwhile.

        A graph of a node that has gone meanwhile was read whole if it had neither come there nor gone.
        """
        before, graphs, now = self.before, self.asked.graphs, self.now
        missing = set[str]()
        if graphs is None or not all(map(before.surely_has, graphs)):
            missing.update(before.missing)
        if now.taken != before.taken and now.missing:
            looked_at: Iterable[str] = now.holders if graphs is None else graphs
            if any(not now.surely_has(graph) and now.touched.get(graph, 0) > before.taken for graph in looked_at):
                missing.update(now.missing)
        return missing


def is_of_one_version(snapshot: Snapshot, rounds: Iterable[Round]) -> bool:
    """Whether the catalogue said what a snapshot says before each of some rounds and after it."""
    return all(done.before.version == done.now.version == snapshot.version for done in rounds)


def as_read(snapshot: Snapshot, rounds: Sequence[Round]) -> Snapshot:
    """A snapshot with the marks of what was read by some rounds that began with it, where these still hold at their end.

    What was read later than by the snapshot may be an older copy, or one that nobody knows of.

    Args:
        snapshot: The nodes as they were at the beginning.
        rounds: All that was asked since, one round after the other.
    """
    if is_of_one_version(snapshot, rounds):
        return snapshot
    marks = dict(snapshot.marks)
    for done in rounds:
        for graph in done.before.marks.keys() | marks.keys() if done.asked.graphs is None else done.asked.graphs:
            mark = done.before.marks.get(graph)
            if graph in done.moved or mark is None or rounds[-1].now.marks.get(graph) != mark:
                marks.pop(graph, None)
            else:
                marks[graph] = mark
    if marks == snapshot.marks:
        return snapshot
    return replace(snapshot, marks=marks, version=f"{snapshot.version} in part")
