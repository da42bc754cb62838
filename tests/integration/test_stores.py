"""The stores of links: one suite for all of them.

Aerospike is a fake of its official client, unless `CATENA_TEST_AEROSPIKE` names a server with a namespace ``test``.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catena_core.stores import AerospikeConnector, Key, MongoDBConnector, RedisConnector, Store
from tests.helpers.aerospike import FakeCluster
from tests.helpers.stores import answer
from tests.helpers.waiting import eventually
from tests.servers import MongoDB, Redis

NAMESPACE = "test"
SERVERS = [pytest.param("mongodb", marks=pytest.mark.mongodb), pytest.param("redis_server", marks=pytest.mark.redis)]
VALUES = [
    "text",
    "",
    "ünïcode\n",
    b"\x00\xff",
    True,
    0,
    -(2**63),
    2**63 - 1,
    1.5,
    [1, "a", [None]],
    {"a": {"b": [b"c"]}},
]


@pytest.fixture(
    params=[
        pytest.param("mongodb", marks=pytest.mark.mongodb),
        pytest.param("redis", marks=pytest.mark.redis),
        "aerospike",
    ]
)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each kind of store, with a set of its own."""
    connector: MongoDBConnector | RedisConnector | AerospikeConnector
    if request.param == "mongodb":
        connector = MongoDBConnector(request.getfixturevalue("mongodb").uri)
    elif request.param == "redis":
        connector = RedisConnector(request.getfixturevalue("redis_server").url)
    elif endpoint := os.environ.get("CATENA_TEST_AEROSPIKE"):
        connector = AerospikeConnector(endpoint)
    else:
        connector = AerospikeConnector("localhost", client_factory=FakeCluster(NAMESPACE).connect)
    with connector:
        connector.set_defaults(NAMESPACE, f"set-{uuid.uuid4().hex[:12]}")
        yield connector


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was_put(store: Store, value: Any) -> None:
    store.put("key", value)

    _, found = store.get("key")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_named_value_comes_back_as_it_was_put(store: Store, value: Any) -> None:
    store.put("key", {"name": value, "other": 1})

    assert store.get("key") == (None, {"name": value, "other": 1})


def test_a_record_that_was_never_put_is_told_from_all_others(store: Store) -> None:
    assert store.get("key") == (None, None)
    assert store.exists("key") is False
    assert store.remove("key") == 0


def test_a_removed_record_is_gone(store: Store) -> None:
    store.put("key", 1)
    store.put("other", 2)

    assert store.remove("key") == 1
    assert not store.exists("key")
    assert store.get("other") == (None, 2)


def test_a_key_alone_can_be_put(store: Store) -> None:
    store.put("key")

    assert store.exists("key")
    assert store.get("key") == (None, 0)


def test_text_bytes_and_an_integer_are_three_keys(store: Store) -> None:
    keys: list[Key] = ["1", b"1", 1, "ü", b"\x00\xff", -1, ":1", "#1"]
    for place, key in enumerate(keys):
        store.put(key, place, store_key=True)

    assert [store.get(key) for key in keys] == [(key, place) for place, key in enumerate(keys)]


def test_a_key_is_returned_where_it_was_stored(store: Store) -> None:
    store.put("a", 1, store_key=True)
    store.put("b", {"x": 1, "y": 2}, store_key=True)
    store.put("c", store_key=True)

    assert store.get("a") == ("a", 1)
    assert store.get("b") == ("b", {"x": 1, "y": 2})
    assert store.get("c") == ("c", None)


def test_names_that_are_not_put_stay_and_none_takes_a_name_away(store: Store) -> None:
    store.put("key", {"a": 1, "b": 2, "c": 3})
    store.put("key", {"b": 4, "c": None})

    assert store.get("key") == (None, {"a": 1, "b": 4})


def test_a_record_goes_with_its_last_name(store: Store) -> None:
    store.put("key", {"a": 1, "b": 2})
    store.put("key", {"a": None})
    assert store.exists("key")

    store.put("key", {"b": None})
    assert not store.exists("key")


def test_to_take_a_name_away_makes_no_record(store: Store) -> None:
    store.put("key", {"a": None})

    assert not store.exists("key")


def test_what_was_put_stays_the_callers_own(store: Store) -> None:
    value = {"a": [1]}
    store.put("key", value, store_key=True)

    assert value == {"a": [1]}


def test_sets_are_kept_apart(store: Store) -> None:
    other = f"other-{uuid.uuid4().hex[:12]}"
    store.put("key", 1)
    store.put("key", 2, NAMESPACE, other)

    assert store.get("key") == (None, 1)
    assert store.get("key", NAMESPACE, other) == (None, 2)
    assert store.remove("key", NAMESPACE, other) == 1
    assert store.exists("key")
    store.set_defaults(NAMESPACE, other)
    assert not store.exists("key")


def test_an_index_may_be_made_again(store: Store) -> None:
    store.put("key", {"age": 36})
    store.create_index("age")
    store.create_index("age")

    assert store.get("key") == (None, {"age": 36})


def test_many_threads_share_a_store(store: Store) -> None:
    def put(thread: int) -> None:
        for place in range(50):
            store.put(f"{thread}-{place}", place)
            store.put("shared", {f"thread-{thread}": place})

    threads = [threading.Thread(target=put, args=(thread,)) for thread in range(8)]
    for running in threads:
        running.start()
    for running in threads:
        running.join()

    assert all(store.get(f"{thread}-{place}") == (None, place) for thread in range(8) for place in range(50))
    assert store.get("shared") == (None, {f"thread-{thread}": 49 for thread in range(8)})


def test_a_closed_store_opens_again(store: Store) -> None:
    store.put("key", 1)
    store.close()
    store.close()

    if not isinstance(store, AerospikeConnector):  # the fake's cluster goes on as well
        assert store.get("key") == (None, 1)
    store.put("key", 2)
    assert store.get("key") == (None, 2)


@pytest.mark.parametrize("key", [None, True, 1.5, ("a",)], ids=repr)
def test_what_is_no_key_is_refused(store: Store, key: Any) -> None:
    with pytest.raises(TypeError, match="key of a record"):
        store.put(key, 1)


def test_a_key_that_no_store_could_hold_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        store.put(2**63, 1)


def test_an_empty_record_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="without a value"):
        store.put("key", {})


def test_names_are_text(store: Store) -> None:
    with pytest.raises(TypeError, match="named by text"):
        store.put("key", {1: 2})


scalars = (
    st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.booleans()
)
names = st.sampled_from(["a", "b", "value", "c"])
changes = st.lists(st.dictionaries(names, scalars | st.none(), min_size=1) | scalars | st.just("remove"), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes)
def test_whatever_is_put_after_another_every_store_holds_the_same(store: Store, changes: list[Any]) -> None:
    key = uuid.uuid4().hex
    expected: dict[str, Any] = {}
    for change in changes:
        if change == "remove":
            assert store.remove(key) == bool(expected)
            expected = {}
            continue
        store.put(key, change)
        expected |= change if isinstance(change, dict) else {"value": change}
        expected = {name: value for name, value in expected.items() if value is not None}

        assert store.exists(key) == bool(expected)
        _, found = store.get(key)
        assert found == (expected["value"] if expected.keys() == {"value"} else expected or None)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_was_restarted_is_found_again(kind: str, request: pytest.FixtureRequest) -> None:
    server: MongoDB | Redis = request.getfixturevalue(kind)
    with MongoDBConnector(server.address) if kind == "mongodb" else RedisConnector(server.address) as store:
        store.set_defaults("people", "authors")
        store.put("ada", 36)
        server.restart()

        assert eventually(lambda: answer(store)) == (None, None)
        store.put("ada", 37)
        assert store.get("ada") == (None, 37)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", SERVERS)
def test_a_forked_process_has_a_connection_of_its_own(kind: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(kind).address
    store: Store = MongoDBConnector(address) if kind == "mongodb" else RedisConnector(address)
    store.set_defaults(NAMESPACE, "forked")
    store.put("parent", 1)
    child = os.fork()
    if not child:
        try:
            store.put("child", store.get("parent")[1] + 1)
            store.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert store.get("child") == (None, 2)
    store.remove("parent")
    store.remove("child")
    store.close()
