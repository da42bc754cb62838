"""What the connectors refuse before there is a server."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

from catena_core.errors import UsageError
from catena_core.stores import AerospikeConnector, MongoDBConnector, RedisConnector
from catena_core.stores.connector import Connector, addresses

CONNECTORS: tuple[type[Any], ...] = (MongoDBConnector, AerospikeConnector, RedisConnector)


@pytest.mark.parametrize(
    ("endpoint", "read"),
    [
        ("localhost:3000", [("localhost", 3000)]),
        ("localhost", [("localhost", 1234)]),
        ("a:1, b:2", [("a", 1), ("b", 2)]),
        ("[::1]:3000,[::2]", [("::1", 3000), ("::2", 1234)]),
    ],
)
def test_an_endpoint_is_hosts_with_ports(endpoint: str, read: list[tuple[str, int]]) -> None:
    assert addresses(endpoint, 1234) == read


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize(
    "endpoint", ["", ":1", "host:", "host:0", "host:65536", "host:x", "host:1:2", "a b:1", "u@h:1", "h,"]
)
def test_a_malformed_endpoint_is_refused_at_once(connector: type[Any], endpoint: str) -> None:
    with pytest.raises(UsageError, match="write it as host:port"):
        connector(endpoint)


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize(
    "endpoint", ["http://host:1", "mongodb://", "redis://user:secret@host:x", "mongodb://u:secret@h:x/"]
)
def test_a_malformed_address_is_refused_at_once_and_without_its_password(connector: type[Any], endpoint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        connector(endpoint)

    if connector is not AerospikeConnector:  # its addresses hold none
        assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("package", "connector"),
    [("pymongo", MongoDBConnector), ("aerospike", AerospikeConnector), ("redis", RedisConnector)],
    ids=lambda value: str(value),
)
def test_a_missing_client_is_named_with_what_installs_it(
    package: str, connector: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("mongodb_client", "redis_client"):
        monkeypatch.delitem(sys.modules, f"catena_core.stores.{client}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    extra = "mongodb" if package == "pymongo" else package

    with pytest.raises(UsageError, match=rf"pip install 'catena-links\[{extra}\]'"):
        connector("localhost")


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_call_without_a_place_says_how_to_name_one(connector: type[Any]) -> None:
    with pytest.raises(UsageError, match="set_defaults"):
        connector("localhost").get("key")


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_timeout_leaves_some_time(connector: type[Any]) -> None:
    with pytest.raises(UsageError, match="timeout"):
        connector("localhost", timeout=0)


class Clients(Connector[object]):
    """Makes clients slowly, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[object] = []
        self.ended: list[object] = []

    def _connect(self) -> object:
        time.sleep(0.05)
        self.made.append(object())
        return self.made[-1]

    def _disconnect(self, client: object) -> None:
        self.ended.append(client)


def test_threads_that_come_at_once_share_one_connection() -> None:
    clients = Clients()
    threads = [threading.Thread(target=clients.open_connection) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(clients.made) == 1


def test_a_connection_is_ended_once_and_made_again_when_needed() -> None:
    with Clients() as clients:
        clients.close()
        first = clients.client
        clients.close()
        clients.close()
        second = clients.client
        assert clients.ended == [first]

    assert clients.made == clients.ended == [first, second]
