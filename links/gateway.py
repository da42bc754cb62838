"""Serves the catalogue over HTTP: SPARQL over all nodes as if they were one store, and single offerings.

Run it alone with ``python links/gateway.py -k localhost:9092``; start more of it, each on a port or a machine of its own.
Without Kafka it serves the nodes of a list: ``OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json python links/gateway.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catena_core.errors import UsageError
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.gateway.api.app import create_app
from topology.gateway.api.server import make_server
from topology.gateway.engine_factory import make_engine
from topology.gateway.fixed.catalogue import FixedCatalogue
from topology.gateway.replicas.inventory import GraphInventory
from topology.gateway.replicas.ranking import decode_replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.membership import CatalogueList
from topology.ring import RingView
from topology.settings import Mode

if TYPE_CHECKING:
    import flask


class Gateway(CatalogueLink):
    """Serves the catalogue over HTTP.

    GET or POST /sparql, the same at /catalogue/sparql: the SPARQL 1.1 Protocol over every graph, each counted once.
    GET / lists the other endpoints.

    With Kafka (-k) it serves the catalogue that the other links maintain. Without Kafka it serves a fixed set of SPARQL servers
    and needs nothing else: OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json. It asks each node for its health and its graphs; a
    graph on several nodes counts once.

    Settings: HOST_ADDRESS (0.0.0.0), HOST_PORT (3030), SPARQL_TIMEOUT (60 s), NODE_TIMEOUT (10 s), SPARQL_PARTIAL (1),
    SPARQL_CACHE_TTL (60 s; without Kafka 0), SPARQL_WORKERS (2), SPARQL_MEMORY (4096 MiB), SPARQL_RESULT_MAX_BYTES,
    SPARQL_SERVICES; for a fixed set of nodes OPERATOR_PROVIDED, CATALOGUE_LIST, NODE_HEALTH_CHECK_INTERVAL (30 s).
    """

    inputs = (topics.RING, topics.OFFERINGS, topics.PLACEMENTS)

    def setup(self) -> None:
        """Follow the nodes and their graphs, and take the port."""
        super().setup()
        settings = self.settings
        self._is_fixed = self.kafka_endpoint is None and settings.mode is Mode.OPERATOR
        self._engine = make_engine(settings, self.logger, has_topics=not self._is_fixed)
        self._app = self._over_fixed_nodes() if self._is_fixed else self._over_catalogue()
        try:
            self._server = make_server(self._app, settings.host_address, settings.host_port)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host_address}:{settings.host_port} ({error.strerror}); "
                "choose another with HOST_ADDRESS and HOST_PORT, for instance HOST_PORT=8080"
            ) from error

    def generator(self) -> None:
        """Serve until the link stops."""
        if self._is_fixed:
            self._fixed.start()
            self.launch_thread(self._fixed.log_findings)
        else:
            self._selector.snapshot()  # the first one takes longest
            self._polls_nodes = True  # all earlier placements are known now
            self._inventory.follow(self.ring)
        port = getattr(self._server, "effective_port", self.settings.host_port)  # HOST_PORT=0 takes any free port
        self.logger.log(f"serving on {self.settings.host_address}:{port}")
        self._server.run()

    def finish(self) -> None:
        """Let requests under way end, and stop serving."""
        if hasattr(self, "_server"):
            self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
            self._server.close()
        if hasattr(self, "_fixed"):
            self._fixed.close()
        if hasattr(self, "_inventory"):
            self._inventory.close()
        if hasattr(self, "_engine"):
            self._engine.close()

    # The two catalogues: that of the topics, and that of fixed nodes

    def _over_catalogue(self) -> flask.Flask:
        """Follow the topics, which say where graphs were placed; ask the nodes only for unmanaged and lost graphs."""
        _ring_topic, offerings, placements = self.input_topics
        selector = ReplicaSelector(lambda: self.ring, lambda: inventory.graphs_by_node())
        inventory = GraphInventory(self.settings.node_timeout, self.logger, on_change=selector.nodes_changed)
        self._selector, self._inventory, self._polls_nodes = selector, inventory, False

        def changed(ring: RingView) -> None:
            if self._polls_nodes:
                inventory.follow(ring)
            selector.nodes_changed()

        try:
            self.follow_ring(on_change=changed)
        except UsageError as error:
            raise UsageError(
                "there is no Kafka and no list of nodes; serve a catalogue with -k HOST:PORT, or the nodes of a list with "
                "OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json (examples/catalogue_list.json shows one)"
            ) from error
        selector.claims = self.table(
            offerings,
            decode=records.read_head,
            accept=records.is_newer_claim,
            on_change=selector.claim_changed,
        )
        selector.replicas = self.table(placements, decode=decode_replica, on_change=selector.replica_changed)
        return create_app(self._engine, selector, lambda: self.ring, partial_answers=self.settings.sparql_partial)

    def _over_fixed_nodes(self) -> flask.Flask:
        """Ask the nodes of a list for their health and graphs."""
        settings = self.settings
        fixed = self._fixed = FixedCatalogue(
            CatalogueList(settings.catalogue_list),
            settings.node_health_check_interval,
            settings.node_timeout,
            self.logger,
        )
        return create_app(self._engine, fixed.selector, lambda: fixed.ring, partial_answers=settings.sparql_partial)


if __name__ == "__main__":
    Gateway().start()
