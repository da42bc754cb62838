"""The Aerospike connector on a cluster in memory, and its configuration on the official client."""

from __future__ import annotations

import socket
from typing import Any

import aerospike
import pytest
from aerospike import exception

from catena_core.errors import UsageError
from catena_core.stores import AerospikeConnector
from tests.helpers.aerospike import FakeCluster
from tests.servers.process import free_port


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster("test")


@pytest.fixture
def store(cluster: FakeCluster) -> AerospikeConnector:
    connector = AerospikeConnector("localhost:3000", client_factory=cluster.connect)
    connector.set_defaults("test", "people")
    return connector


def test_a_value_that_is_no_dictionary_stands_in_the_bin_value(cluster: FakeCluster, store: AerospikeConnector) -> None:
    store.put("ada", 36)

    assert list(cluster.records.values()) == [{"value": 36}]


def test_a_stored_key_stands_in_the_bin_key(cluster: FakeCluster, store: AerospikeConnector) -> None:
    store.put("ada", {"age": 36}, store_key=True)
    assert list(cluster.records.values()) == [{"age": 36, "key": "ada"}]

    assert store.get("ada") == ("ada", {"age": 36})


def test_links_name_namespace_and_set_by_position(store: AerospikeConnector) -> None:
    store.put("ada", 1, "test", "others")

    assert store.exists("ada", "test", "others")
    assert store.get("ada", "test", "others") == (None, 1)
    assert not store.exists("ada")


def test_a_new_default_namespace_leaves_the_set(store: AerospikeConnector) -> None:
    store.put("ada", 1)
    store.set_defaults("test")

    assert store.exists("ada", "test", "people")


@pytest.mark.parametrize(
    ("type_", "datatype"),
    [("string", aerospike.INDEX_STRING), ("integer", aerospike.INDEX_NUMERIC), ("numeric", aerospike.INDEX_NUMERIC)],
)
def test_an_index_is_made_once(cluster: FakeCluster, store: AerospikeConnector, type_: str, datatype: int) -> None:
    store.create_index("age", type_=type_)
    store.create_index("age", type_=type_)
    store.create_index("age", "others", type_, "by_age")

    assert cluster.indexes == {
        ("test", "people_age_index"): ("people", "age", datatype),
        ("test", "by_age"): ("others", "age", datatype),
    }


def test_an_index_of_an_unknown_type_is_refused(store: AerospikeConnector) -> None:
    with pytest.raises(UsageError, match="choose one of string, integer, numeric"):
        store.create_index("age", type_="text")


def test_get_and_close_ends_the_connection_even_when_it_fails(cluster: FakeCluster, store: AerospikeConnector) -> None:
    store.put("ada", 36)
    assert store.get_and_close("ada") == (None, 36)
    with pytest.raises(exception.NamespaceNotFound):
        store.get_and_close("ada", "nowhere")

    assert [client.closed for client in cluster.clients] == [True, True]


def test_errors_of_the_server_come_through(store: AerospikeConnector) -> None:
    with pytest.raises(exception.BinNameError):
        store.put("ada", {"a name of 16 char": 1})


def test_the_client_is_told_where_the_cluster_is_and_how_long_to_wait(cluster: FakeCluster) -> None:
    AerospikeConnector("aerospike://a:1,b/", timeout=2, client_factory=cluster.connect).open_connection()
    configuration = cluster.clients[0].configuration

    assert configuration["hosts"] == [("a", 1), ("b", 3000)]
    assert configuration["connect_timeout"] == 2000
    assert {
        name: policy.get("total_timeout", policy.get("timeout")) for name, policy in configuration["policies"].items()
    } == {
        "read": 2000,
        "write": 2000,
        "remove": 2000,
        "info": 2000,
    }


def test_the_official_client_knows_all_of_the_configuration() -> None:
    def strict(configuration: dict[str, Any]) -> Any:
        return aerospike.client({**configuration, "validate_keys": True})

    with pytest.raises(exception.ConnectionError):  # type: ignore[attr-defined]  # its stubs lack it; a wrong name would be a ParamError
        AerospikeConnector(f"127.0.0.1:{free_port()}", client_factory=strict).open_connection()


def test_a_cluster_that_is_away_is_named() -> None:
    port = free_port()

    with pytest.raises(exception.ConnectionError, match=f"127.0.0.1:{port}"):  # type: ignore[attr-defined]
        AerospikeConnector(f"127.0.0.1:{port}").put("ada", 36, "test", "people")


def test_a_cluster_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = AerospikeConnector(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.5)
        with pytest.raises(exception.AerospikeError):
            store.exists("ada", "test", "people")
