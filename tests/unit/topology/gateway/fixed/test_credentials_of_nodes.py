"""The gateway over a fixed set of nodes that want passwords."""

from __future__ import annotations

import json
from pathlib import Path

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import OddServer
from tests.helpers.waiting import eventually
from topology.access import LinkAccess
from topology.gateway.fixed.catalogue import FixedCatalogue
from topology.membership import CatalogueList
from topology.settings import load


def test_fixed_catalogue_asks_nodes_with_their_credentials(server: OddServer, tmp_path: Path) -> None:
    listed, secrets = tmp_path / "nodes.json", tmp_path / "credentials.json"
    by_list = server.url.replace("//", "//ada:pw-of-the-list@")
    listed.write_text(
        json.dumps({"a": {"catalogue_url": f"{by_list}/a"}, "b": {"catalogue_url": f"{server.url}/b"}}),
    )
    secrets.write_text(json.dumps({"b": {"headers": {"X-API-Key": "key-of-the-file"}}}))
    settings = load(
        {"OPERATOR_PROVIDED": "1", "CATALOGUE_LIST": str(listed), "NODE_CREDENTIALS": str(secrets)},
        file="/nowhere/.env",
    )
    catalogue = FixedCatalogue(CatalogueList(str(listed)), 0.05, 2, LinkLogger("test"), LinkAccess(settings))
    catalogue.start()
    try:
        of_a = eventually(lambda: [asked for asked in server.asked if asked.path.startswith("/a/")])
        of_b = eventually(lambda: [asked for asked in server.asked if asked.path.startswith("/b/")])
    finally:
        catalogue.close()

    assert all(
        asked.headers["Authorization"].startswith("Basic ") and "X-API-Key" not in asked.headers for asked in of_a
    )
    assert all(
        asked.headers["X-API-Key"] == "key-of-the-file" and "Authorization" not in asked.headers for asked in of_b
    )
    assert [node.url for node in catalogue.ring.nodes.values()] == [f"{server.url}/a", f"{server.url}/b"]
