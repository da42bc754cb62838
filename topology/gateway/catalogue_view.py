"""The catalogue as the HTTP API sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from federation.source_selection import Snapshot
from topology.gateway.offering_list import ListedOffering


class CatalogueView(Protocol):
    """Finds graphs and offerings, and the node to read each graph from."""

    def graph_of(self, identifier: str) -> str | None:
        """Return the graph of an offering by its ledger address or its IRI; ``None`` if there is none."""

    def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
        """Return the nodes and graphs for one query, without the nodes to avoid."""

    def offerings(self) -> Sequence[ListedOffering]:
        """Return the offerings, sorted by graph."""
