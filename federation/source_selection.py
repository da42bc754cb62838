"""The nodes that one query reads from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Source(NamedTuple):
    """A live node.

    Attributes:
        id: Its name on the ring.
        sparql_url: Its SPARQL 1.1 Protocol query endpoint.
    """

    id: str
    sparql_url: str


@dataclass(frozen=True)
class Snapshot:
    """The node that each named graph is read from, for the time of one query.

    Reading each graph from one node only makes replicas invisible, stale copies and leftovers included.

    Attributes:
        sources: The live nodes; a query asks each for the graphs on it.
        source_of: For every graph that the ring knows, or that several nodes are known to hold, the id of the node to read it
            from. Queries read other graphs, which providers put on nodes themselves, wherever they find them.
        tombstoned: Deleted graphs; queries ignore any copy that a node may still have.
        unavailable: Ids of nodes that are not live, where the answer may lack graphs through that.
        version: A name for the content of the placed graphs: the same text for the same content, from whichever copies it is
            read, and another one after each change. Empty when the content is not known.
        revision: A number that grows with each change of where graphs are; answers of nodes from before may lack a graph that
            has moved.
        moved_at: For each graph that a node has gained or lost: the ``revision`` since when that is known.
        removed_at: For each graph of which a copy was removed or lost: the ``revision`` since when that is known. Earlier reads
            of it may have come from a node that had just lost it.
        unconfirmed: Graphs whose nodes may not have them any more, since they do not list them or are about to delete them,
            where no better copy can be read.
        fingerprints: For each graph whose changes are known: a number that stands for its content.
        untracked: All other graphs that nodes list; ``None`` where nodes are not asked for lists.
        contents: For each placed graph: the digest of the newest content that a node has acknowledged.
        unlisted: Ids of nodes without which graphs may be missing from the answer that neither ``contents`` nor other nodes
            have.
    """

    sources: tuple[Source, ...]
    source_of: Mapping[str, str] = field(default_factory=dict)
    tombstoned: frozenset[str] = frozenset()
    unavailable: tuple[str, ...] = ()
    version: str = ""
    revision: int = field(default=0, compare=False)
    moved_at: Mapping[str, int] = field(default_factory=dict, compare=False)
    removed_at: Mapping[str, int] = field(default_factory=dict, compare=False)
    unconfirmed: frozenset[str] = frozenset()
    fingerprints: Mapping[str, int] = field(default_factory=dict)
    untracked: frozenset[str] | None = None
    contents: Mapping[str, str] = field(default_factory=dict, compare=False)
    unlisted: tuple[str, ...] = ()

    def reads(self, graph: str, source: str) -> bool:
        """Return whether queries read a graph from a node.

        Args:
            graph: The IRI of the named graph.
            source: The id of the node.
        """
        return graph not in self.tombstoned and self.source_of.get(graph, source) == source

    def is_confirmed(self, graph: str) -> bool:
        """Return whether the node that queries read a graph from is known to have it.

        Args:
            graph: The IRI of the named graph.
        """
        return self.is_live(self.source_of.get(graph, "")) and graph not in self.unconfirmed

    def is_live(self, node: str) -> bool:
        """Return whether queries ask a node.

        Args:
            node: Its id.
        """
        return node in self._live

    @cached_property
    def _live(self) -> frozenset[str]:
        return frozenset(source.id for source in self.sources)
