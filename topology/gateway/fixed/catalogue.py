"""A catalogue of fixed nodes, without Kafka: Catena places nothing on them and asks them for their graphs."""

from __future__ import annotations

from catena_core.monitoring.logs import LinkLogger
from topology.access import LinkAccess
from topology.clients.http import Access
from topology.credentials import Credentials
from topology.gateway.fixed.fixed_nodes import FixedNodes
from topology.gateway.fixed.fixed_selector import FixedReplicaSelector
from topology.gateway.replicas.inventory import GraphInventory
from topology.membership import CatalogueList
from topology.ring import RingView


class FixedCatalogue:
    """Follows the nodes of a list, their health and their graphs.

    Args:
        members: The list.
        interval: Seconds between two health checks of a node.
        timeout: Seconds that a node may take to answer.
        logger: Logs findings, and nodes and lists that fail.
        access: The nodes that it may ask, and the credentials for them; without it, any, and those in the list.

    Attributes:
        selector: Selects the node to read each graph from.

    Raises:
        MembershipError: The list cannot be read.
    """

    def __init__(
        self,
        members: CatalogueList,
        interval: float,
        timeout: float,
        logger: LinkLogger,
        access: LinkAccess | None = None,
    ) -> None:
        self._logger = logger
        self._credentials = access.credentials if access else Credentials()
        members.credentials = self._credentials
        nodes = access.nodes if access else Access(headers=self._credentials.headers)
        self._nodes = FixedNodes(members, interval, timeout, logger, self._nodes_changed, nodes)
        self._inventory = GraphInventory(timeout, logger, self._graphs_changed, access=nodes)
        self.selector = FixedReplicaSelector(
            lambda: self._nodes.ring,
            self._inventory.graphs_by_node,
            lambda: self._nodes.are_checked() and self._inventory.is_complete(),
            first_snapshot_within=timeout,
        )

    @property
    def ring(self) -> RingView:
        """The current nodes."""
        return self._nodes.ring

    def start(self) -> None:
        """Start to follow the nodes."""
        self._nodes.start()

    def refresh(self) -> None:
        """List the nodes' graphs once more, for a query that bypasses all caches."""
        self._inventory.refresh()

    def unlisted(self, after: float) -> dict[str, str]:
        """Return, for each node that is up and has not listed its graphs for so many seconds, the reason."""
        return self._inventory.unlisted(after)

    def log_findings(self) -> None:
        """Wait until the nodes have been asked, and log the numbers of nodes and graphs."""
        snapshot = self.selector.snapshot()
        nodes = len(self.ring.nodes)
        found = f"{len(snapshot.sources)} of {nodes} nodes answer, with {len(snapshot.source_of)} graphs"
        missing = f"; missing: {', '.join(snapshot.unavailable)}" if snapshot.unavailable else ""
        self._logger.log(found + missing, level="warning" if missing else "info")

    def close(self) -> None:
        """Stop following the nodes."""
        self._nodes.close()
        self._inventory.close()

    def _nodes_changed(self, ring: RingView) -> None:
        self._credentials.follow(ring.nodes.values())
        self._inventory.follow(ring)
        self.selector.nodes_changed()

    def _graphs_changed(self) -> None:
        self.selector.nodes_changed()
