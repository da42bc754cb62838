"""A gateway that is told by a file where each graph stands, in the way in which Kafka tells it otherwise.

    python -m tests.bench.federation.serve_placed FILE PORT

It is the gateway that users run but for Kafka, whose topics only fill its tables; a benchmark of queries needs none.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
from waitress.server import create_server

from tests.bench.federation.placed import Placed
from topology.federation.engine import Engine
from topology.gateway.app import create_app
from topology.gateway.directory import Copy, Directory
from topology.records import placement_key
from topology.ring import RingView

_THREADS = 16  # as the gateway's own link has


def main() -> None:
    """Serve until SIGTERM."""
    placed = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Placed)
    ring = RingView(placed.ring)
    directory = Directory(lambda: ring)
    directory.claims = placed.offerings
    directory.copies = {
        placement_key(placement.node, placement.graph): Copy(placement.digest, placement.version)
        for placement in placed.placements
    }
    directory.changed()
    engine = Engine()
    server = create_server(
        create_app(engine, directory, lambda: ring),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        threads=_THREADS,
        ident="catena",
        asyncore_use_poll=True,
    )

    def stop(*_: Any) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    try:
        server.run()
    finally:
        engine.close()


if __name__ == "__main__":
    main()
