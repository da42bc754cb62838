"""A gateway that is told by a file where each graph stands, in the way in which Kafka tells it otherwise.

    python -m tests.bench.federation.serve_placed FILE PORT

It is the gateway that users run but for Kafka, whose topics only fill its tables, and Redis; a benchmark of queries needs
neither. It takes the settings SPARQL_..., NODE_... and GATEWAY_VIEW... from its environment.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from catena_core.monitoring.logs import LinkLogger
from tests.bench.federation.placed import Placed
from topology import settings
from topology.gateway.api.app import create_app
from topology.gateway.api.server import make_server
from topology.gateway.engine_factory import make_engine
from topology.gateway.replicas.inventory import GraphInventory
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import placement_key
from topology.ring import RingView


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    placed = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Placed)
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(("SPARQL_", "NODE_", "GATEWAY_VIEW"))
    }
    chosen = settings.load(variables, os.devnull)
    logger = LinkLogger("Gateway")
    ring = RingView(placed.ring)
    directory = ReplicaSelector(lambda: ring, lambda: inventory.graphs_by_node())
    inventory = GraphInventory(chosen.node_timeout, logger, on_change=directory.nodes_changed)
    directory.claims = dict(placed.offerings)
    directory.replicas = {
        placement_key(placement.node, placement.graph): Replica(placement.digest, placement.version)
        for placement in placed.placements
    }
    directory.changed()
    inventory.follow(ring)
    contents = directory if chosen.gateway_view else None
    engine = make_engine(replace(chosen, redis_host=""), logger, has_topics=True, contents=contents)
    engine.follow(directory.snapshot)
    app = create_app(engine, directory, lambda: ring, partial_answers=chosen.sparql_partial)
    server = make_server(app, "127.0.0.1", int(sys.argv[2]))

    def stop(*_: Any) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    try:
        server.run()
    finally:
        inventory.close()
        engine.close()


if __name__ == "__main__":
    main()
