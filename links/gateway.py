"""Serves the catalogue over HTTP: SPARQL over all nodes as if they were one store, and single offerings.

Run it alone with ``python links/gateway.py -k localhost:9092``; start more of it, each on a port or a machine of its own.
Without Kafka it serves the nodes of a list: ``OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json python links/gateway.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from catena_core import Electron
from catena_core.errors import UsageError
from catena_core.table import Table
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.consumer_groups import ConsumerGroups
from topology.gateway.api.app import create_app
from topology.gateway.api.metrics import CatalogueMetrics, QueryMetrics
from topology.gateway.api.server import GatewayServer, make_server, port_of
from topology.gateway.engine_factory import make_engine
from topology.gateway.fixed.catalogue import FixedCatalogue
from topology.gateway.guarding.guard import on_admin_port
from topology.gateway.guarding.guard_factory import make_guard
from topology.gateway.replicas.contents import Decode, OfferingContents
from topology.gateway.replicas.inventory import GraphInventory
from topology.gateway.replicas.lost import LossReports
from topology.gateway.replicas.ranking import decode_replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.membership import CatalogueList
from topology.records import AddressEvent, AddressStatus, Inspection, OfferingHead
from topology.ring import RingView
from topology.runner.failing import read_failing
from topology.settings import Mode

if TYPE_CHECKING:
    import flask
    from _typeshed.wsgi import WSGIApplication


# Seconds between two looks at the graphs that nodes have lost.
_LOSS_INTERVAL = 2.0
# Seconds between two looks at the links on Kafka, while clients read the overview.
_LINKS_INTERVAL = 5.0
# Seconds between two looks at whether contents must be read again.
_CONTENTS_INTERVAL = 1.0
_ADMIN_THREADS = 4
# A node that does not list its graphs for so many intervals of inspection is a lasting problem.
_LASTING = 3


class Gateway(CatalogueLink):
    """Serves the catalogue over HTTP.

    GET or POST /sparql, the same at /catalogue/sparql: the SPARQL 1.1 Protocol over every graph, each counted once.
    GET / lists the other endpoints.

    With Kafka (-k) it serves the catalogue that the other links maintain. Without Kafka it serves a fixed set of SPARQL servers
    and needs nothing else: OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json. It asks each node for its health and its graphs; a
    graph on several nodes counts once.

    Settings: HOST_ADDRESS (0.0.0.0), HOST_PORT (3030), SPARQL_TIMEOUT (60 s), NODE_TIMEOUT (10 s), SPARQL_PARTIAL (1),
    SPARQL_CACHE_TTL (60 s; without Kafka 0), SPARQL_WORKERS (2), SPARQL_MEMORY (4096 MiB), SPARQL_RESULT_MAX_BYTES,
    SPARQL_SERVICES, GATEWAY_VIEW (1), GATEWAY_VIEW_BYTES (1 GiB of memory, and beyond it on disk), GATEWAY_VIEW_DIRECTORY (to
    be on disk from the start); for clients GATEWAY_URL, GATEWAY_API_KEYS_FILE, GATEWAY_OIDC_ISSUER, GATEWAY_OIDC_AUDIENCE,
    GATEWAY_OPEN_READING (1), GATEWAY_RATE_LIMIT (0), GATEWAY_TRUSTED_PROXIES, GATEWAY_ADMIN_PORT; for
    a fixed set of nodes OPERATOR_PROVIDED, CATALOGUE_LIST, NODE_HEALTH_CHECK_INTERVAL (30 s).
    """

    def setup(self) -> None:
        """Follow the nodes and their graphs, and take the port."""
        super().setup()
        settings = self.settings
        self._is_fixed = self.kafka_endpoint is None and settings.mode is Mode.OPERATOR
        self._app = self._over_fixed_nodes() if self._is_fixed else self._over_catalogue()
        make_guard(settings, self.logger).protect(self._app)
        metrics = QueryMetrics(self.metrics_registry)
        metrics.start_at_zero()
        metrics.observe(self._app)
        self._servers = [self._listen(self._app, settings.host_port, "HOST_PORT")]
        if settings.gateway_admin_port is not None:
            self._servers.append(
                self._listen(
                    on_admin_port(self._app), settings.gateway_admin_port, "GATEWAY_ADMIN_PORT", _ADMIN_THREADS
                )
            )

    def generator(self) -> None:
        """Serve until the link stops."""
        if self._is_fixed:
            self._fixed.start()
            self.launch_thread(self._fixed.log_findings)
        else:
            self._contents.complete()
            self._selector.snapshot()  # the first one takes longest
            self._polls_nodes = True  # all earlier placements are known now
            self._inventory.follow(self.ring)
            self._engine.follow(self._selector.snapshot)
        host = self.settings.host_address
        self.logger.log(f"serving on {host}:{port_of(self._servers[0])}")
        for server in self._servers[1:]:
            self.logger.log(f"serving the admin part on {host}:{port_of(server)}")
            self.launch_thread(server.run)
        self._servers[0].run()

    def finish(self) -> None:
        """Let requests under way end, and stop serving."""
        for server in getattr(self, "_servers", ()):
            server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
            server.close()
        if hasattr(self, "_fixed"):
            self._fixed.close()
        if hasattr(self, "_inventory"):
            self._inventory.close()
        if hasattr(self, "_engine"):
            self._engine.close()

    def _listen(self, app: WSGIApplication, port: int, setting: str, threads: int = 32) -> GatewayServer:
        try:
            return make_server(
                app,
                self.settings.host_address,
                port,
                threads=threads,
                on_break=lambda reason: self.logger.log(reason, level="warning"),
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {self.settings.host_address}:{port} ({error.strerror}); "
                f"choose another with HOST_ADDRESS and {setting}, for instance {setting}=8080"
            ) from error

    # The two catalogues: that of the topics, and that of fixed nodes

    def _over_catalogue(self) -> flask.Flask:
        """Follow the topics, which say where graphs were placed; ask the nodes only for unmanaged and lost graphs."""
        contents = self._contents = self.offering_contents()
        selector = ReplicaSelector(lambda: self.ring, lambda: inventory.graphs_by_node(), contents.content)
        inventory = GraphInventory(
            self.settings.node_timeout, self.logger, on_change=selector.nodes_changed, access=self.access.nodes
        )
        self._selector, self._inventory, self._polls_nodes = selector, inventory, False
        has_view = self.settings.gateway_view

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
        selector.replicas = self.table(topics.PLACEMENTS, decode=decode_replica, on_change=selector.replica_changed)
        selector.statuses = self.table(
            topics.STATUSES,
            decode=lambda _address, value: records.from_text(value, AddressStatus),
            on_change=selector.status_changed,
        )
        selector.events = self.table(
            topics.ADDRESSES,
            decode=lambda _address, value: records.from_text(value, AddressEvent),
            on_change=selector.status_changed,
        )
        inspections = self.table(topics.INSPECTIONS, decode=lambda _key, value: records.from_text(value, Inspection))
        reports = LossReports(lambda loss: self.send(Electron(loss.node, records.to_text(loss), topic=topics.LOSSES)))
        self.loop(lambda: reports.report(selector.lost_by_node()), interval=_LOSS_INTERVAL, wait=True)
        self._engine = make_engine(
            self.settings,
            self.logger,
            has_topics=True,
            access=self.access.nodes,
            contents=selector if has_view else None,
        )
        contents.begin(self._engine.resume())
        selector.claims = self.table(
            topics.OFFERINGS,
            decode=contents.decode if has_view else records.read_titled_head,
            accept=records.is_newer_claim,
            on_change=selector.claim_changed,
        )
        self.loop(contents.read_missing, interval=_CONTENTS_INTERVAL, wait=True, safe_stop=False)
        groups = ConsumerGroups(self.kafka_endpoint, self.logger, self.options.properties)
        self.loop(groups.look, interval=_LINKS_INTERVAL, wait=True)
        self.metrics_registry.register(CatalogueMetrics(selector, lambda: self.ring))
        return create_app(
            self._engine,
            selector,
            lambda: self.ring,
            partial_answers=self.settings.sparql_partial,
            inspections=inspections,
            links=groups.links,
            failing=read_failing,
            unlisted=lambda: inventory.unlisted(_LASTING * self.settings.node_inspection_interval),
            url=self.settings.gateway_url,
        )

    def offering_contents(self) -> OfferingContents:
        """Return what decodes the offerings, and reads their topic again where a content was left out."""
        return OfferingContents(self._read_offerings)

    def _read_offerings(self, decode: Decode) -> Mapping[str, OfferingHead]:
        """Read the topic of offerings once more, as far as it goes now."""
        failed = threading.Event()
        table: Table[OfferingHead] = Table(
            self.kafka_endpoint or "",
            topics.OFFERINGS,
            self.logger,
            self.options.properties,
            lambda _: failed.set(),
            decode=decode,
        )
        try:
            table.wait_until_complete(failed)
            return table.copy()
        finally:
            table.close()

    def _over_fixed_nodes(self) -> flask.Flask:
        """Ask the nodes of a list for their health and graphs."""
        settings = self.settings
        fixed = self._fixed = FixedCatalogue(
            CatalogueList(settings.catalogue_list),
            settings.node_health_check_interval,
            settings.node_timeout,
            self.logger,
            self.access,
        )
        self._engine = make_engine(settings, self.logger, has_topics=False, access=self.access.nodes)
        return create_app(
            self._engine,
            fixed.selector,
            lambda: fixed.ring,
            partial_answers=settings.sparql_partial,
            refresh=fixed.refresh,
            unlisted=lambda: fixed.unlisted(_LASTING * settings.node_inspection_interval),
            url=settings.gateway_url,
        )


if __name__ == "__main__":
    Gateway().start()
