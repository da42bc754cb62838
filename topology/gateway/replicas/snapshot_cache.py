"""The snapshots that selectors have taken, until something changes."""

from __future__ import annotations

from collections.abc import Callable

from federation.source_selection import Snapshot


class SnapshotCache:
    """One snapshot for each set of nodes to avoid. Its owner holds a lock around each call."""

    def __init__(self) -> None:
        self._revision = -1
        self._snapshots: dict[frozenset[str], Snapshot] = {}

    def get(self, avoid: frozenset[str], revision: int, take: Callable[[], Snapshot]) -> Snapshot:
        """Return the snapshot of this revision, taking it if there is none yet.

        Args:
            avoid: Ids of the nodes to avoid.
            revision: The number of changes so far; snapshots of other revisions are dropped.
            take: Takes the snapshot.
        """
        if revision != self._revision:
            self._snapshots, self._revision = {}, revision
        snapshot = self._snapshots.get(avoid)
        if snapshot is None:
            snapshot = self._snapshots[avoid] = take()
        return snapshot
