"""The stores of links: one suite for all that has the shape of a store, then what each can do beyond it.

Aerospike is a fake of its official client, unless `CATENA_TEST_AEROSPIKE` names a server with a namespace ``test``.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pymongo
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.monitoring import CommandListener, CommandStartedEvent

from catena_core.errors import CodecError, UsageError
from catena_core.stores import AerospikeConnector, Key, MongoDBConnector, RedisConnector, Store
from tests.helpers.aerospike import FakeCluster
from tests.helpers.waiting import eventually
from tests.servers import MongoDB, Redis
from tests.servers.process import free_port

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


# MongoDB


@pytest.fixture
def documents(mongodb: MongoDB) -> Iterator[MongoDBConnector]:
    with MongoDBConnector(mongodb.uri) as connector:
        connector.set_defaults("people", "authors")
        yield connector


def insert_ages(documents: MongoDBConnector, *ages: int) -> None:
    for age in ages:
        documents.put({"age": age})


def ages(found: Iterator[dict[str, Any]]) -> list[int]:
    return [document["age"] for document in found]


def test_a_document_without_a_query_is_inserted(documents: MongoDBConnector) -> None:
    ada = {"name": "Ada"}
    documents.put(ada)
    documents.put(ada)
    documents.put(ada, {})

    assert documents.count({"name": "Ada"}) == 3
    assert ada == {"name": "Ada"}


def test_a_document_with_a_query_updates_what_matches(documents: MongoDBConnector) -> None:
    documents.put({"age": 36}, {"name": "Ada"})
    documents.put({"born": 1815}, {"name": "Ada"})

    (document,) = documents.get({"name": "Ada"})
    assert {name: document[name] for name in ("name", "age", "born")} == {"name": "Ada", "age": 36, "born": 1815}


def test_a_key_stands_for_a_query_by_id(documents: MongoDBConnector) -> None:
    documents.put({"age": 36}, "ada")
    documents.push("ada", "languages", ["English"])

    assert list(documents.get({"_id": "ada"})) == [{"_id": "ada", "age": 36, "languages": ["English"]}]
    assert documents.get("ada") == (None, {"age": 36, "languages": ["English"]})
    assert documents.exists("ada") and documents.count("ada") == 1
    assert documents.remove("ada") == 1


def test_a_document_that_was_read_can_be_put_back_under_its_key(documents: MongoDBConnector) -> None:
    documents.put("ada", {"age": 36})
    (document,) = documents.get()
    documents.put(document["_id"], document | {"age": 37})

    assert documents.get("ada") == (None, {"age": 37})
    with pytest.raises(ValueError, match="another _id"):
        documents.put("grace", document)


@pytest.mark.parametrize("name", ["a.b", "$set"])
def test_a_name_that_mongodb_would_read_as_a_path_or_an_operator_is_refused(
    documents: MongoDBConnector, name: str
) -> None:
    with pytest.raises(ValueError, match="cannot name a field"):
        documents.put("ada", {name: 1})


def test_documents_are_sorted_and_limited(documents: MongoDBConnector) -> None:
    insert_ages(documents, 3, 1, 2)

    assert ages(documents.get(sort_attribute="age")) == [1, 2, 3]
    assert ages(documents.get(sort_attribute="age", sort_type="desc", limit=2)) == [3, 2]
    assert ages(documents.get({"age": {"$gt": 1}}, sort=[("age", 1)], limit=1)) == [2]
    assert ages(documents.get(limit=1, sort_attribute="age")) == [1]


def test_documents_are_read_as_they_are_asked_for(documents: MongoDBConnector) -> None:
    insert_ages(documents, 1, 2)
    found = documents.get(sort_attribute="age")

    assert next(found)["age"] == 1
    assert next(found)["age"] == 2
    assert next(found, None) is None


@pytest.mark.parametrize("wrong", [{"sort_attribute": "age", "sort_type": "up"}, {"limit": -1}])
def test_what_cannot_be_asked_for_is_refused(documents: MongoDBConnector, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"choose asc or desc|cannot be"):
        documents.get(**wrong)


class Commands(CommandListener):
    """Keeps the commands that a client sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: Any) -> None:
        """Nothing is to be learnt from it."""

    failed = succeeded


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"index": "age_1"}, "age_1"),
        ({"index": [("age", 1)]}, {"age": 1}),
        ({"index_attribute": "age"}, {"age": 1}),
        ({"index_attribute": "age", "index_type": "desc"}, {"age": -1}),
    ],
)
def test_the_index_to_use_is_told_to_the_server(
    documents: MongoDBConnector, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], hint: Any
) -> None:
    commands = Commands()
    monkeypatch.setattr(pymongo, "MongoClient", partial(pymongo.MongoClient, event_listeners=[commands]))
    insert_ages(documents, 1)
    documents.create_index("age")
    documents.create_index("age", type_="desc")

    assert ages(documents.get({"age": 1}, **asked)) == [1]
    (sent,) = [command for command in commands.sent if "find" in command]
    assert sent["hint"] == hint


def test_a_unique_index_refuses_the_second(documents: MongoDBConnector) -> None:
    documents.create_index("name", unique=True)
    documents.create_index(keys=[("name", 1), ("age", -1)])
    documents.put({"name": "Ada"})

    with pytest.raises(DuplicateKeyError):
        documents.put({"name": "Ada"})
    with pytest.raises(ValueError, match="needs an attribute"):
        documents.create_index()


def test_values_are_pushed_in_order(documents: MongoDBConnector) -> None:
    documents.push({"name": "Ada"}, "notes", ["A", "B"])
    documents.push({"name": "Ada"}, "notes", ("C",))

    assert [document["notes"] for document in documents.get({"name": "Ada"})] == [["A", "B", "C"]]
    with pytest.raises(TypeError, match="list of values"):
        documents.push({"name": "Ada"}, "notes", "D")


def test_documents_are_drawn_by_chance(documents: MongoDBConnector) -> None:
    insert_ages(documents, *range(20))
    drawn = [ages(documents.get_random({"age": {"$gte": 10}}))[0] for _ in range(60)]

    assert set(drawn) <= set(range(10, 20))
    assert len(set(drawn)) > 1  # all alike: once in 10 ** 59 runs
    assert ages(documents.get_random(limit=20, sort_attribute="age", sort_type="desc")) == list(range(19, -1, -1))
    with pytest.raises(ValueError, match="1 document or more"):
        documents.get_random(limit=0)


def test_all_documents_go_only_if_that_is_said(documents: MongoDBConnector) -> None:
    insert_ages(documents, 1, 2, 3)

    with pytest.raises(ValueError, match="everything=True"):
        documents.remove()
    with pytest.raises(ValueError, match="everything=True"):
        documents.remove({})
    assert documents.remove({"age": {"$gt": 2}}) == 1
    assert documents.count() == 2
    assert documents.remove(everything=True) == 2
    assert not documents.exists()


def test_database_and_collection_may_be_named_in_a_call(documents: MongoDBConnector) -> None:
    documents.put({"age": 1}, None, "others", "readers")

    assert documents.count() == 0
    assert ages(documents.get(None, "others", "readers")) == [1]
    assert documents.exists({"age": 1}, database_name="others", collection_name="readers")


def test_links_written_for_catenae_find_their_names(documents: MongoDBConnector) -> None:
    documents.open_connection()
    documents.insert({"name": "Ada"})
    documents.update({"name": "Ada"}, {"age": 36})

    assert ages(documents.get_and_close({"name": "Ada"})) == [36]
    documents.close_connection()
    documents.put("ada", 36)
    assert documents.get_and_close("ada") == (None, 36)


def test_a_collection_has_to_be_named(mongodb: MongoDB) -> None:
    with MongoDBConnector(mongodb.uri) as connector:
        connector.set_defaults("people")
        with pytest.raises(UsageError, match="no MongoDB collection"):
            connector.put({"age": 1})


def test_a_mongodb_that_is_away_is_given_up() -> None:
    with (
        MongoDBConnector(f"127.0.0.1:{free_port()}", timeout=0.5) as connector,
        bounded(5),
        pytest.raises(PyMongoError),
    ):
        connector.put({"age": 1}, None, "people", "authors")


def test_a_mongodb_that_is_silent_is_given_up_and_used_again(mongodb: MongoDB, documents: MongoDBConnector) -> None:
    documents.put("ada", 36)
    with MongoDBConnector(mongodb.uri, timeout=1) as connector:
        connector.set_defaults("people", "authors")
        mongodb.pause()
        try:
            with bounded(20), pytest.raises(PyMongoError):
                connector.get("ada")
        finally:
            mongodb.resume()

        assert eventually(lambda: answer(connector)) == (None, 36)


def test_the_options_of_a_mongodb_uri_win(mongodb: MongoDB) -> None:
    with MongoDBConnector(f"{mongodb.uri}/?socketTimeoutMS=1234&appName=link", timeout=2) as connector:
        assert connector.client.options.pool_options.socket_timeout == 1.234
        assert connector.client.options.pool_options.connect_timeout == 2


# Redis


@pytest.fixture
def hashes(redis_server: Redis) -> Iterator[RedisConnector]:
    with RedisConnector(f"{redis_server.host}:{redis_server.port}") as connector:
        connector.set_defaults("people", "authors")
        yield connector


@pytest.mark.parametrize("value", [(1, "a"), {1, 2}, datetime.date(1815, 12, 10), 2**70], ids=repr)
def test_redis_holds_whatever_links_can_send(hashes: RedisConnector, value: Any) -> None:
    hashes.put("ada", value)

    assert hashes.get("ada") == (None, value)


def test_what_links_cannot_send_is_refused(hashes: RedisConnector) -> None:
    with pytest.raises(CodecError):
        hashes.put("ada", object())

    assert not hashes.exists("ada")


def test_redis_keys_are_read_by_people(hashes: RedisConnector) -> None:
    hashes.put("ada", 1)
    hashes.put(7, 1)
    hashes.put("ada", 1, "people", "readers")

    assert sorted(hashes.client.keys()) == [b"people:authors#7", b"people:authors:ada", b"people:readers:ada"]


def test_a_record_is_forgotten_after_its_time_to_live(hashes: RedisConnector) -> None:
    hashes.put("ada", 36, time_to_live=0.2)
    hashes.put("grace", 85, time_to_live=60)

    eventually(lambda: not hashes.exists("ada"), timeout=5)
    assert 0 < hashes.client.ttl("people:authors:grace") <= 60


def test_a_later_put_decides_about_the_time_to_live(hashes: RedisConnector) -> None:
    hashes.put("ada", 36, time_to_live=60)
    hashes.put("ada", 37)

    assert hashes.client.ttl("people:authors:ada") == -1
    with pytest.raises(ValueError, match="use remove"):
        hashes.put("ada", 38, time_to_live=0)


def test_records_are_counted_by_set(hashes: RedisConnector) -> None:
    for place in range(2500):
        hashes.put(place, place)
    hashes.put("ada", 1)
    for set_ in ("author", "authors*", "[authors]", "authors2"):
        hashes.put("ada", 1, "people", set_)

    assert hashes.count() == 2501
    assert [hashes.count("people", set_) for set_ in ("author", "authors*", "[authors]", "author?", "none")] == [
        1,
        1,
        1,
        0,
        0,
    ]


def test_a_hash_of_others_is_not_read_as_values(hashes: RedisConnector) -> None:
    hashes.client.hset("people:authors:ada", "age", "36")

    with pytest.raises(CodecError, match="not written by this connector"):
        hashes.get("ada")


def test_a_redis_record_can_be_read_before_the_connection_ends(hashes: RedisConnector) -> None:
    hashes.put("ada", 36)

    assert hashes.get_and_close("ada") == (None, 36)


def test_a_redis_that_is_silent_is_given_up_and_used_again(redis_server: Redis, hashes: RedisConnector) -> None:
    hashes.put("ada", 36)
    with RedisConnector(redis_server.url, timeout=1) as connector:
        connector.set_defaults("people", "authors")
        redis_server.pause()
        try:
            with bounded(20), pytest.raises(redis.RedisError):
                connector.get("ada")
        finally:
            redis_server.resume()

        assert eventually(lambda: answer(connector)) == (None, 36)


class bounded:
    """Fails when its block takes longer than some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *error: object) -> None:
        assert time.monotonic() - self.started < self.seconds


def answer(store: Store) -> tuple[Key | None, Any] | None:
    """What is stored under `ada`, or None as long as the server does not answer."""
    try:
        return store.get("ada")
    except (PyMongoError, redis.RedisError):
        return None
