"""The catalogue as the HTTP API sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from federation.source_selection import Snapshot
from topology.gateway.offering_list import ListedOffering
from topology.gateway.replicas.missing import MissingCopies


class CatalogueView(Protocol):
    """Finds graphs and offerings, and the node to read each graph from."""

    def graph_of(self, identifier: str) -> str | None:
        """Return the graph of an offering by its ledger address or its IRI; ``None`` if there is none."""

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """Return the nodes and graphs for one query, without the nodes to avoid."""

    def conflicts(self) -> Mapping[str, Sequence[str]]:
        """Return the graphs of nodes' owners that keep offerings of their names out, sorted, by node."""

    def problems(self) -> Mapping[str, str]:
        """Return, for each node that refuses graphs or fails on them, how many, and the reason for one of them."""

    def offerings(self) -> Sequence[ListedOffering]:
        """Return the offerings, sorted by graph."""

    def missing(self) -> MissingCopies:
        """Return the number of copies that the catalogue lacks."""

    def ledger_listing(self) -> Sequence[ListedOffering]:
        """Return all addresses on the ledger, with or without an offering; those with one first, sorted by graph."""

    def owner_of(self, address: str) -> str | None:
        """Return the address that owns the graph that an address claims; ``None`` if it claims none."""
