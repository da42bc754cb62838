"""The connector to MongoDB: documents beyond what every store can."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pymongo
import pytest
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.monitoring import CommandListener, CommandStartedEvent

from catena_core.stores import MongoDBConnector
from tests.helpers.stores import answer, bounded
from tests.helpers.waiting import eventually
from tests.servers import MongoDB
from tests.servers.process import free_port


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


def test_values_are_pushed_in_order(documents: MongoDBConnector) -> None:
    documents.push({"name": "Ada"}, "notes", ["A", "B"])
    documents.push({"name": "Ada"}, "notes", ("C",))

    assert [document["notes"] for document in documents.get({"name": "Ada"})] == [["A", "B", "C"]]


def test_documents_are_drawn_by_chance(documents: MongoDBConnector) -> None:
    insert_ages(documents, *range(20))
    drawn = [ages(documents.get_random({"age": {"$gte": 10}}))[0] for _ in range(60)]

    assert set(drawn) <= set(range(10, 20))
    assert len(set(drawn)) > 1  # all alike: once in 10 ** 59 runs
    assert ages(documents.get_random(limit=20, sort_attribute="age", sort_type="desc")) == list(range(19, -1, -1))


def test_all_documents_go_only_if_that_is_said(documents: MongoDBConnector) -> None:
    insert_ages(documents, 1, 2, 3)
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
