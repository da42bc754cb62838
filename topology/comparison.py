"""Compares the graphs on one node with those that it acknowledged."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from topology import records
from topology.clients.http import UnsafeError
from topology.former_contents import FormerContents
from topology.records import Placement

_GRAPHS_A_QUERY = 500
_CONTENTS_A_QUERY = 20
# Each comparison reads a tenth of the contents, but at least a hundred.
_ROUNDS_FOR_ALL, _FEWEST_CONTENTS = 10, 100
# Seconds between two looks at a graph that seems lost or altered: a write under way may explain the first.
_SECOND_LOOK = 2.0
_MOST_REPORTED = 100_000
_MOST_DOUBLINGS = 6


class AcknowledgedGraph(NamedTuple):
    """A graph that a node acknowledged.

    Attributes:
        node: The node's id.
        graph: The graph's IRI.
        address: The address that it belongs to.
        version: The version that was written.
        epoch: The epoch of the ring that it was routed by.
        partition: The partition of its placement.
        digest: The digest of its content.
        by_value: The same with literals by value, if that is another one.
    """

    node: str
    graph: str
    address: str
    version: int
    epoch: int
    partition: int
    digest: str
    by_value: str = ""


Held = Mapping[str, AcknowledgedGraph]
"""The graphs that one node acknowledged, by their IRIs, the last acknowledged one last."""


def decode_acknowledged(_key: str, value: object) -> AcknowledgedGraph | None:
    """Decode a row of a table of placements; ``None`` for a graph whose content on the node is unknown."""
    row = records.from_text(value, Placement)
    if not row.digest:
        return None
    return AcknowledgedGraph(
        row.node, row.graph, row.address, row.version, row.epoch, row.partition, row.digest, row.by_value
    )


class GraphReader(Protocol):
    """Reads graphs of one node, as :class:`~topology.clients.node.NodeClient` does."""

    def holds(self, graphs: Iterable[str]) -> set[str]:
        """Return those of these graphs that the node holds."""

    def digests(self, graphs: Iterable[str], by_value: bool = False) -> dict[str, str]:
        """Return the digests of those of these graphs that the node holds, with literals by value if that is asked."""


class Findings(NamedTuple):
    """The result of a comparison.

    Attributes:
        held: The graphs that the node should hold.
        lost: Those that it does not hold.
        altered: Those whose content is another.
    """

    held: Held
    lost: list[AcknowledgedGraph]
    altered: list[AcknowledgedGraph]


class _Form(NamedTuple):
    """The digests of a graph as a node shows it, and of the same with literals by value."""

    digest: str
    by_value: str


class NodeComparison:
    """Compares one node, again and again.

    Every comparison asks for all graphs, and for the contents of some, in turn. Ten comparisons read all contents.
    Nothing is found at first sight: the node is asked twice, and a graph that was written meanwhile does not count.
    A node that was set back to an old backup lacks the last writes. So where anything speaks for that, the contents that were
    written last are read as well, as far back as any of them is missing. Those written since it came up tell nothing.

    Servers may write a literal or an IRI in a form of their own. A graph whose literals have the values that were sent is
    right. Any other such graph looks altered even after it was sent again. It is then left alone, until the node shows it in
    another form. If that form is an earlier content of Catena's, though, the node has taken the newer one and stored nothing.
    That graph is reported again, after 1, 2, 4 … comparisons.

    Args:
        wait: Waits for some seconds.
        catch_up: Waits until the acknowledgements that Kafka has by now are known.
        former: Tells which contents Catena once put there.

    Attributes:
        repaired: Graphs that an earlier comparison found altered, and the last one right: the repair has worked.
    """

    def __init__(self, wait: Callable[[float], object], catch_up: Callable[[], object], former: FormerContents) -> None:
        self._wait = wait
        self._catch_up = catch_up
        self._former = former
        self._rounds = 0
        # By graph that shows an earlier content: the number of reports, and the comparison from which on it is reported again.
        self._outdated: dict[str, tuple[int, int]] = {}
        self._last_read: str | None = None
        # The form in which a node showed an altered graph, and the digest that it should have had.
        self._reported: dict[str, tuple[str, str]] = {}
        self._own_forms: set[str] = set()
        self.repaired: list[str] = []

    @property
    def own_forms(self) -> set[str]:
        """The graphs that the node shows in a form of its own."""
        return self._own_forms

    def compare(self, reader: GraphReader, held: Callable[[], Held], came_up_in: int | None = None) -> Findings:
        """Compare the node once.

        Args:
            reader: Reads its graphs.
            held: Returns the graphs that it should hold, as they are now.
            came_up_in: The epoch in which the node came up, if that was after the last comparison.

        Raises:
            WebError: The node does not answer as it should.
            CatenaError: Kafka does not tell of acknowledgements in time.
        """
        before = dict(held())
        self.repaired = []
        self._rounds += 1
        lost = _lacking(reader, before)
        altered = self._altered(reader, before, self._sample(sorted(before.keys() - lost)))
        if came_up_in is not None or lost or altered:
            altered |= self._altered_last(reader, before, lost, altered.keys(), came_up_in)
        if lost or altered:
            self._wait(_SECOND_LOOK)
            lost = _lacking(reader, _unchanged(lost, before, held()))
            again = self._altered(reader, before, sorted(_unchanged(altered, before, held())))
            altered = {graph: form for graph, form in again.items() if altered[graph] == form}
            if lost or altered:
                self._catch_up()  # on a busy machine, this link knows of a write only a while after the node has it
            now = held()
            lost, unchanged = _unchanged(lost, before, now), _unchanged(altered, before, now)
            altered = {graph: form for graph, form in altered.items() if graph in unchanged}
        self._own_forms &= before.keys()
        if len(self._reported) > _MOST_REPORTED:
            self._reported.clear()
            self._outdated.clear()
        for graph, form in altered.items():
            self._reported[graph] = (before[graph].digest, form.digest)
            if any(self._former.knows(graph, digest) for digest in form):
                reports, _ = self._outdated.get(graph, (0, 0))
                self._outdated[graph] = (reports + 1, self._rounds + 2 ** min(reports, _MOST_DOUBLINGS))
            else:
                self._outdated.pop(graph, None)
        return Findings(before, [before[graph] for graph in sorted(lost)], [before[graph] for graph in altered])

    def _sample(self, graphs: Sequence[str]) -> Sequence[str]:
        """Return the graphs whose contents come next, in the order of their names."""
        count = max(_FEWEST_CONTENTS, -(-len(graphs) // _ROUNDS_FOR_ALL))
        if self._last_read is None:  # a writer that often starts again would always read the same ones first
            self._last_read = random.choice(graphs) if graphs else ""
        last_read = self._last_read
        following = [graph for graph in graphs if graph > last_read]
        sample = (following + list(graphs[: len(graphs) - len(following)]))[:count]
        self._last_read = sample[-1] if sample else ""
        return sample

    def returned(
        self, reader: GraphReader, gone: Callable[[], Held], former: FormerContents
    ) -> list[AcknowledgedGraph]:
        """Find graphs that Catena had deleted and that stand on the node again, since it was set back to an old backup.

        Args:
            reader: Reads its graphs.
            gone: Returns the graphs that Catena deleted there, as they are now.
            former: Tells them from graphs of the same name that the node's owner has put there since.

        Raises:
            WebError: The node does not answer as it should.
            CatenaError: Kafka does not tell of acknowledgements in time.
        """
        before = dict(gone())
        present = {graph for batch in _batches(sorted(before), _GRAPHS_A_QUERY) for graph in reader.holds(batch)}
        if not present:
            return []
        self._wait(_SECOND_LOOK)
        self._catch_up()
        return [
            before[graph] for graph in sorted(_unchanged(present, before, gone())) if former.recognises(graph, reader)
        ]

    def _altered_last(
        self, reader: GraphReader, held: Held, lost: Collection[str], altered: Collection[str], came_up_in: int | None
    ) -> dict[str, _Form]:
        """Return the forms of altered graphs that were written last, by graph.

        The order of acknowledgements holds within a partition.
        """
        found: dict[str, _Form] = {}
        partitions: dict[int, list[str]] = {}
        for graph in reversed(list(held)):
            if came_up_in is None or held[graph].epoch < came_up_in:
                partitions.setdefault(held[graph].partition, []).append(graph)
        for graphs in partitions.values():
            left = sum(graph in lost or graph in altered for graph in graphs)
            for batch in _batches(graphs, _CONTENTS_A_QUERY):
                odd = self._altered(reader, held, [graph for graph in batch if graph not in lost])
                found |= odd
                left -= sum(graph in lost or graph in altered for graph in batch)
                if not odd and left == 0:
                    break
        return found

    def _altered(self, reader: GraphReader, held: Held, graphs: Sequence[str]) -> dict[str, _Form]:
        """Return the forms of altered graphs, by graph."""
        altered: dict[str, _Form] = {}
        for batch in _batches(graphs, _CONTENTS_A_QUERY):
            shown = {graph: found for graph, found in _read(reader, batch).items() if graph in held}
            odd = {graph: found for graph, found in shown.items() if found != held[graph].digest}
            for graph in shown.keys() - odd.keys():
                if self._reported.pop(graph, None) is not None:
                    self.repaired.append(graph)
                self._own_forms.discard(graph)
                self._outdated.pop(graph, None)
            unknown = {graph for graph, found in odd.items() if self._is_news(graph, held[graph].digest, found)}
            values = _read(reader, sorted(unknown), by_value=True)
            own = {graph for graph in unknown if values.get(graph) == (held[graph].by_value or held[graph].digest)}
            self._own_forms |= (odd.keys() - unknown - self._outdated.keys()) | own
            self._own_forms -= unknown - own
            altered |= {graph: _Form(odd[graph], values.get(graph, "")) for graph in sorted(unknown - own)}
        return altered

    def _is_news(self, graph: str, expected: str, found: str) -> bool:
        """Tell whether a content that is not the expected one is to be reported."""
        if self._reported.get(graph) != (expected, found):
            return True
        return graph in self._outdated and self._rounds >= self._outdated[graph][1]


def _lacking(reader: GraphReader, graphs: Iterable[str]) -> set[str]:
    return {graph for batch in _batches(sorted(graphs), _GRAPHS_A_QUERY) for graph in set(batch) - reader.holds(batch)}


def _read(reader: GraphReader, graphs: Sequence[str], by_value: bool = False) -> dict[str, str]:
    """Read the digests of graphs, in halves if they are too large together."""
    if not graphs:
        return {}
    try:
        return reader.digests(graphs, by_value)
    except UnsafeError:
        if len(graphs) == 1:
            return {}
        half = len(graphs) // 2
        return {**_read(reader, graphs[:half], by_value), **_read(reader, graphs[half:], by_value)}


def _unchanged(graphs: Iterable[str], before: Held, now: Held) -> set[str]:
    return {graph for graph in graphs if now.get(graph) == before[graph]}


def _batches(graphs: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (graphs[start : start + size] for start in range(0, len(graphs), size))
