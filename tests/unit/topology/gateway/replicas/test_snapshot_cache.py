"""The snapshot cache: one snapshot for each set of nodes to avoid, until the next revision."""

from __future__ import annotations

from federation.source_selection import Snapshot
from topology.gateway.replicas.snapshot_cache import SnapshotCache


class Taken:
    """Takes snapshots, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Snapshot:
        self.count += 1
        return Snapshot((), version=str(self.count))


def test_get_at_the_same_revision_takes_one_snapshot_for_each_set_to_avoid() -> None:
    cache, take = SnapshotCache(), Taken()

    first, avoiding = cache.get(frozenset(), 1, take), cache.get(frozenset("a"), 1, take)

    assert cache.get(frozenset(), 1, take) is first
    assert cache.get(frozenset("a"), 1, take) is avoiding
    assert take.count == 2


def test_get_at_another_revision_takes_all_of_them_again() -> None:
    cache, take = SnapshotCache(), Taken()
    first, avoiding = cache.get(frozenset(), 1, take), cache.get(frozenset("a"), 1, take)

    assert cache.get(frozenset(), 2, take) is not first
    assert cache.get(frozenset("a"), 2, take) is not avoiding
