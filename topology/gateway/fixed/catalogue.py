"""A catalogue of the nodes that a list names, without Kafka: nothing is placed on them, and they are asked what they hold."""

from __future__ import annotations

from catena_core.monitoring.logs import LinkLogger
from topology.gateway.fixed.nodes import FixedNodes
from topology.gateway.fixed.selector import FixedDirectory
from topology.gateway.replicas.inventory import Holdings
from topology.membership import CatalogueList
from topology.ring import RingView


class FixedCatalogue:
    """Keeps apace with the nodes of a list: which there are, how they are, and which graphs they hold.

    Args:
        members: The list.
        interval: Seconds between two checks of a node's health.
        timeout: Seconds that a node may take to answer.
        logger: Told of what is found, and of nodes and lists that fail.

    Attributes:
        directory: Says from which node each graph is read.

    Raises:
        MembershipError: The list cannot be read.
    """

    def __init__(self, members: CatalogueList, interval: float, timeout: float, logger: LinkLogger) -> None:
        self._logger = logger
        self._nodes = FixedNodes(members, interval, timeout, logger, self._nodes_changed)
        self._holdings = Holdings(timeout, logger, self._holdings_changed)
        self.directory = FixedDirectory(
            lambda: self._nodes.ring,
            self._holdings.listings,
            lambda: self._nodes.are_checked() and self._holdings.are_asked(),
            patience=timeout,
        )

    @property
    def ring(self) -> RingView:
        """The nodes as they are now."""
        return self._nodes.ring

    def start(self) -> None:
        """Begin to look."""
        self._nodes.start()

    def tell_what_was_found(self) -> None:
        """Wait until the nodes have been asked, and log what there is."""
        snapshot = self.directory.snapshot()
        nodes = len(self.ring.nodes)
        found = f"{len(snapshot.sources)} of {nodes} nodes answer, with {len(snapshot.source_of)} graphs"
        missing = f"; missing: {', '.join(snapshot.unavailable)}" if snapshot.unavailable else ""
        self._logger.log(found + missing, level="warning" if missing else "info")

    def close(self) -> None:
        """Look no more."""
        self._nodes.close()
        self._holdings.close()

    def _nodes_changed(self, ring: RingView) -> None:
        self._holdings.follow(ring)
        self.directory.nodes_changed()

    def _holdings_changed(self) -> None:
        self.directory.nodes_changed()
