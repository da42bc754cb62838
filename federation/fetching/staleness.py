"""Which graphs may have been deleted where they were read, before that node answered, or read in two states.

A copy is told to go when others have been acknowledged, and every gateway hears of both. So a graph whose copies have neither
come nor gone from before the nodes were asked until after they had answered was there all the time, and was read whole,
whatever was written to it in its place.
"""

from __future__ import annotations

from federation.source_selection import Snapshot


def moved(before: Snapshot, now: Snapshot, graphs: frozenset[str] | None) -> frozenset[str]:
    """The graphs that have to be asked for once more, where they are now.

    Those that no live node is known to hold now are none of them: there is nobody to ask.

    Args:
        before: The snapshot that the nodes were asked by, taken before that.
        now: Another one, taken after they had answered.
        graphs: Those that they were asked for; ``None``: all.
    """
    if now.taken == before.taken:
        return frozenset()
    if graphs is None:
        graphs = _changed(before, now)
    return frozenset(graph for graph in graphs if _has_moved(graph, before, now))


def _changed(before: Snapshot, now: Snapshot) -> frozenset[str]:
    """The only graphs that may have moved, found in one go: there are many, and something changes for most queries."""
    held, touched, taken = before.holders, now.touched, before.taken
    changed = {
        graph for graph, holder in now.holders.items() if held.get(graph) != holder or touched.get(graph, 0) > taken
    }
    return frozenset(changed | (held.keys() - now.holders.keys()) | (before.withheld ^ now.withheld))


def _has_moved(graph: str, before: Snapshot, now: Snapshot) -> bool:
    if graph in now.holders and not now.surely_has(graph):
        return False
    if graph in now.withheld:
        # It is not to be seen any more. What one node sent of it is of the time before; of several it may be too much.
        return _read_from(graph, before) is None
    if now.touched.get(graph, 0) > before.taken:
        return True
    if graph in before.marks and graph in now.marks:
        # Of copies that are written in their place now one is the newer, now the other; they are all there all the time.
        return not now.is_live(before.holders.get(graph, ""))
    return _read_from(graph, before) != _read_from(graph, now)


def _read_from(graph: str, snapshot: Snapshot) -> str | None:
    """The id of the node; empty: none; ``None``: any."""
    return "" if graph in snapshot.withheld else snapshot.holders.get(graph)
