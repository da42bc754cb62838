"""Answers over HTTP: SPARQL over all nodes as if they were one store, and single offerings.

Run it alone with ``python links/gateway.py -k localhost:9092``; start more of it, each on a port or a machine of its own.
"""

from __future__ import annotations

from waitress.server import create_server

from catena_core.errors import UsageError
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.federation.engine import Engine
from topology.gateway.app import create_app
from topology.gateway.directory import Directory, decode_copy

_THREADS = 16


class Gateway(CatalogueLink):
    """Serves the catalogue over HTTP.

    GET or POST /sparql, the same at /catalogue/sparql: the SPARQL 1.1 Protocol, over every graph once, whichever nodes hold it.
    POST /offerings {"offerings_id": …}: one description, by ledger address or offering IRI. GET /health.

    Settings: HOST_ADDRESS (0.0.0.0), HOST_PORT (3030), SPARQL_TIMEOUT (60 s), NODE_TIMEOUT (10 s).
    """

    inputs = (topics.RING, topics.OFFERINGS, topics.PLACEMENTS)

    def setup(self) -> None:
        """Follow the topics that say what stands where, and take the port."""
        super().setup()
        settings = self.settings
        _ring_topic, offerings, placements = self.input_topics
        self._directory = directory = Directory(lambda: self.ring)
        self.follow_ring(on_change=directory.changed)
        directory.claims = self.table(
            offerings, decode=records.read_head, accept=records.is_newer_claim, on_change=directory.changed
        )
        directory.copies = self.table(placements, decode=decode_copy, on_change=directory.changed)
        self._engine = Engine(timeout=settings.sparql_timeout, source_timeout=settings.node_timeout)
        app = create_app(self._engine, self._directory, lambda: self.ring)
        try:
            self._server = create_server(
                app,
                host=settings.host_address,
                port=settings.host_port,
                threads=_THREADS,
                ident="catena",
                asyncore_use_poll=True,  # select() fails in programs with more than a thousand open files
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host_address}:{settings.host_port} ({error.strerror}); "
                "choose another with HOST_ADDRESS and HOST_PORT, for instance HOST_PORT=8080"
            ) from error

    def generator(self) -> None:
        """Serve until the link stops."""
        self.logger.log(f"serving on {self.settings.host_address}:{self.settings.host_port}")
        self._server.run()

    def finish(self) -> None:
        """Let requests under way end, and stop serving."""
        if hasattr(self, "_server"):
            self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
            self._server.close()
        if hasattr(self, "_engine"):
            self._engine.close()


if __name__ == "__main__":
    Gateway().start()
