"""Provenance of the graphs on nodes: those that Catena put there, and those that belong to a node's owner."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from catena_core import Electron
from catena_core.errors import CatenaError
from catena_core.table import TableContent
from topology import records, topics
from topology.clients.http import UnsafeError, WebError
from topology.clients.node import NodeClient
from topology.former_contents import FormerContents
from topology.rdf.by_value import digest_by_value
from topology.records import Intent, Write, placement_key

_MOST_CLAIMS = 200_000
# Seconds; a write that waits longer is tried again.
_CATCH_UP_TIMEOUT = 10.0


class Trace(NamedTuple):
    """A placement, as far as it tells whose a graph is.

    Attributes:
        node: The node's id.
        graph: The graph's IRI.
        partition: The partition of the placement.
        foreign: True if the graph belongs to the node's owner.
        digest: The digest of the content that Catena put there; empty if it is unknown.
        by_value: The same with literals by value, if that is another one.
    """

    node: str
    graph: str
    partition: int
    foreign: bool
    digest: str = ""
    by_value: str = ""


class Provenance:
    """Tells which graphs Catena may replace and delete on nodes: those that have a placement, or an intent to make one.

    An intent is published before the first put of a graph, the placement after it. So a crash in between leaves a record,
    although the node may have changed the content, and the next description may be another. May be used by many threads.

    Args:
        table: Makes a table of a topic.
        publish: Sends an electron; its second argument tells whether to wait until Kafka has it.
        placements: The topic of placements.
        former: Learns the contents of placements, and tells which are Catena's.
    """

    def __init__(
        self,
        table: Callable[..., TableContent[Any]],
        publish: Callable[[Electron, bool], None],
        placements: str,
        former: FormerContents,
    ) -> None:
        self._publish = publish
        self._former = former
        self._placements: TableContent[Trace] = table(placements, decode=_trace, on_change=self._remember_content)
        self._intents: TableContent[frozenset[str]] = table(topics.INTENTS, decode=_intended)
        # What the tables will hold in a moment.
        self._claimed: set[str] = set()
        self._intended: dict[str, set[str]] = {}

    def owns(self, node: str, graph: str, lane: str) -> bool:
        """Tell whether a graph on a node is Catena's, or will be in a moment.

        Args:
            node: The node's id.
            graph: The graph's IRI.
            lane: The topic and the partition of the write.
        """
        key = placement_key(node, graph)
        trace = self._placements.get(key)
        if trace is not None and not trace.foreign:
            return True
        return key in self._claimed or (trace is None and key in self._intents.get(lane, ()))

    def is_placed(self, node: str, graph: str) -> bool:
        """Tell whether a placement of a graph is known."""
        return placement_key(node, graph) in self._placements

    def claim(self, node: NodeClient, writes: Collection[Write], lane: str) -> set[str]:
        """Claim the graphs of puts that are not Catena's yet, unless the node holds other content under these names.

        Content that Catena once put on some node under that name is its own: a node that was set back to an old backup holds
        graphs again whose placements are gone.

        Args:
            node: The node's client.
            writes: Puts to this node.
            lane: The topic and the partition of the writes.

        Returns:
            The graphs that belong to the node's owner.

        Raises:
            WebError: The node does not answer as it should.
        """
        unproven = {write.graph: write for write in writes if not self.owns(write.node, write.graph, lane)}
        if not unproven:
            return set()
        present = node.holds(unproven) & unproven.keys()
        foreign = {graph for graph in present if not self._is_own(node, unproven[graph])}
        if foreign:
            self.catch_up()  # another instance may have put them there a moment ago
            foreign = {graph for graph in foreign if not self.owns(unproven[graph].node, graph, lane)}
        claimed = unproven.keys() - foreign
        if claimed:
            self._intend(lane, {placement_key(unproven[graph].node, graph) for graph in claimed})
        return foreign

    def deleted(self, node: str, graph: str, lane: str) -> None:
        """Note that Catena has deleted a graph: one of this name belongs to the node's owner from now on."""
        key = placement_key(node, graph)
        self._claimed.discard(key)
        intended = self._intended_in(lane)
        if key in intended:
            intended.discard(key)
            self._publish(_to_electron(lane, intended), False)

    def _is_own(self, node: NodeClient, write: Write) -> bool:
        """Tell whether a node shows the content of a write, or one that Catena once put there.

        Raises:
            WebError: The node does not answer as it should.
        """
        expected = FormerContents()
        expected.note(write.graph, write.digest)
        expected.note(write.graph, digest_by_value(write.triples))
        try:
            return expected.recognises(write.graph, node) or self._former.recognises(write.graph, node)
        except UnsafeError:  # larger than any graph that Catena puts there
            return False

    def _remember_content(self, _key: str, _old: Trace | None, new: Trace | None) -> None:
        if new is not None:
            self._former.note(new.graph, new.digest)
            self._former.note(new.graph, new.by_value)

    def forget_claims(self) -> None:
        """Forget the claims of this instance: another one may write and delete these graphs now."""
        self._claimed.clear()
        self._intended.clear()

    def catch_up(self) -> None:
        """Wait until the tables have all that other instances have published.

        Raises:
            WebError: It took too long, and may be tried again.
        """
        try:
            self._intents.catch_up(_CATCH_UP_TIMEOUT)  # first, since a placement replaces an intent
            self._placements.catch_up(_CATCH_UP_TIMEOUT)
        except CatenaError as error:
            raise WebError(str(error)) from error

    def conflicts(self, nodes: Collection[str]) -> dict[str, list[Trace]]:
        """Return the placements that owners' graphs prevent, by node."""
        found: dict[str, list[Trace]] = {}
        for trace in self._placements.copy().values():
            if trace.foreign and trace.node in nodes:
                found.setdefault(trace.node, []).append(trace)
        return found

    def _intend(self, lane: str, keys: set[str]) -> None:
        """Publish an intent, which replaces the lane's last one, and wait until Kafka has it."""
        pending = {key for key in self._intended_in(lane) if key not in self._placements}
        self._intended[lane] = pending | keys
        self._publish(_to_electron(lane, self._intended[lane]), True)
        if len(self._claimed) > _MOST_CLAIMS:
            self._claimed.clear()
        self._claimed |= keys

    def _intended_in(self, lane: str) -> set[str]:
        return self._intended.setdefault(lane, set(self._intents.get(lane, ())))


class _Foreign(msgspec.Struct):
    partition: int
    foreign: bool = False
    digest: str = ""
    by_value: str = ""
    unclaimed: bool = False


def _trace(key: str, value: object) -> Trace | None:
    mark = records.from_text(value, _Foreign)
    if mark.unclaimed:
        return None
    return Trace(*records.split_placement_key(key), mark.partition, mark.foreign, mark.digest, mark.by_value)


def _to_electron(lane: str, keys: Collection[str]) -> Electron:
    named = [records.split_placement_key(key) for key in sorted(keys)]
    intent = Intent(named[0][0] if named else "", tuple(graph for _, graph in named))  # a lane writes to one node
    return Electron(lane, records.to_text(intent), topic=topics.INTENTS)


def _intended(_lane: str, value: object) -> frozenset[str]:
    intent = records.from_text(value, Intent)
    return frozenset(placement_key(intent.node, graph) for graph in intent.graphs)
