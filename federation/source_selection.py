"""The nodes as one query sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Source(NamedTuple):
    """A live node that is asked.

    Attributes:
        id: Its name on the ring.
        sparql_url: Its SPARQL 1.1 Protocol query endpoint.
    """

    id: str
    sparql_url: str


@dataclass(frozen=True)
class Snapshot:
    """Which node each named graph is read from, for the time of one query.

    Reading each graph from one node only makes replicas invisible, stale copies and leftovers included.

    Attributes:
        sources: The live nodes, each asked for what it holds.
        holders: For every graph that the ring knows, or that several nodes are known to hold, the id of the node it is read
            from. Other graphs are read wherever they stand: their providers put them there.
        withheld: Graphs known to be deleted; no copy that a node may still have is shown.
        missing: Ids of nodes that are not live although graphs may be lost from the answer through that.
        version: Names what the placed graphs say: the same text wherever the same is known, from whichever copies it is read,
            and another one after each change. Empty when that is not known.
        taken: A higher number after each change of what stands where; answers of nodes from before may lack what has moved.
        touched: For graphs that have come to a node or gone from one: the ``taken`` since when that is known.
        gone: For graphs of which a copy has gone, or been lost: the ``taken`` since when that is known. What was read of them
            before may have been read where they had just gone.
        doubtful: Graphs that their holders may not have any more, since they do not list them, or are about to delete them;
            no better copy can be read.
        marks: For each graph of which it is known when it changes: a number that stands for what it says.
        unmarked: All other graphs, as far as nodes list them; ``None`` where nobody asks them.
    """

    sources: tuple[Source, ...]
    holders: Mapping[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    version: str = ""
    taken: int = field(default=0, compare=False)
    touched: Mapping[str, int] = field(default_factory=dict, compare=False)
    gone: Mapping[str, int] = field(default_factory=dict, compare=False)
    doubtful: frozenset[str] = frozenset()
    marks: Mapping[str, int] = field(default_factory=dict)
    unmarked: frozenset[str] | None = None

    def keeps(self, graph: str, source: str) -> bool:
        """Whether the rows of a graph are taken from a node.

        Args:
            graph: The IRI of the named graph.
            source: The id of the node.
        """
        return graph not in self.withheld and self.holders.get(graph, source) == source

    def surely_has(self, graph: str) -> bool:
        """Whether a graph is known to stand on the node that it is read from.

        Args:
            graph: The IRI of the named graph.
        """
        return self.is_live(self.holders.get(graph, "")) and graph not in self.doubtful

    def is_live(self, node: str) -> bool:
        """Whether a node is asked.

        Args:
            node: Its id.
        """
        return node in self._live

    @cached_property
    def last_gone(self) -> int:
        """The highest number in ``gone``; 0 when there is none."""
        return max(self.gone.values(), default=0)

    @cached_property
    def _live(self) -> frozenset[str]:
        return frozenset(source.id for source in self.sources)
