"""The connector to MongoDB: what it asks the server for, and what it refuses before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from catena_core.errors import UsageError
from catena_core.stores import MongoDBConnector

LAST_FIELD_GONE = {"_id": "ada", "$expr": {"$eq": [{"$size": {"$objectToArray": "$$ROOT"}}, 1]}}


class Collection:
    """Notes the calls of PyMongo's collection; it has no document, or is away."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.document: dict[str, Any] | None = None
        self.is_away = False

    def update_one(self, query: Any, change: Any, upsert: bool) -> None:
        self._note("update", query, change, upsert)

    def delete_one(self, query: Any) -> None:
        self._note("delete", query)

    def find_one(self, query: Any, fields: Any = None) -> dict[str, Any] | None:
        self._note("find", query)
        return self.document

    def find(self, query: Any, sort: Any, limit: int) -> Any:
        return self._note("find", query, sort, limit)

    def _note(self, *call: Any) -> None:
        if self.is_away:
            raise ServerSelectionTimeoutError("no server")
        self.calls.append(call)


class Client:
    """PyMongo's client of one collection."""

    def __init__(self) -> None:
        self.collection = Collection()
        self.names: list[str] = []
        self.closed = 0

    def __getitem__(self, name: str) -> Any:
        self.names.append(name)
        return self if len(self.names) % 2 else self.collection

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def documents(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[MongoDBConnector]:
    monkeypatch.setattr("catena_core.stores.mongodb_client.connect", lambda uri, timeout: client)
    with MongoDBConnector("127.0.0.1") as connector:
        connector.set_defaults("people", "authors")
        yield connector


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        (36, [("update", {"_id": "ada"}, {"$set": {"value": 36}}, True)]),
        (
            {"age": 36, "name": None},
            [("update", {"_id": "ada"}, {"$set": {"age": 36}, "$unset": {"name": ""}}, True)],
        ),
        (
            {"name": None},
            [("update", {"_id": "ada"}, {"$unset": {"name": ""}}, False), ("delete", LAST_FIELD_GONE)],
        ),
        ({"_id": "ada", "age": 36}, [("update", {"_id": "ada"}, {"$set": {"age": 36}}, True)]),
    ],
    ids=["value", "names and one that goes", "names that all go", "a document that was read"],
)
def test_a_record_is_written_in_one_update_and_goes_with_its_last_field(
    documents: MongoDBConnector, client: Client, value: Any, calls: list[Any]
) -> None:
    documents.put("ada", value)
    assert client.collection.calls == calls


def test_a_record_is_found_by_its_key_and_comes_without_its_id(documents: MongoDBConnector, client: Client) -> None:
    client.collection.document = {"_id": 7, "key": 7, "value": "Ada"}
    assert documents.get(7) == (7, "Ada")
    assert client.collection.calls == [("find", {"_id": 7})]


def test_a_record_that_is_not_there_is_told_from_all_others(documents: MongoDBConnector) -> None:
    assert documents.get("ada") == (None, None)


def test_database_and_collection_of_a_call_win_over_the_defaults(documents: MongoDBConnector, client: Client) -> None:
    documents.exists("ada")
    documents.exists("ada", "others")
    documents.set_defaults("books")
    documents.exists("ada")
    documents.exists("ada", collection_name="readers")
    assert client.names == ["people", "authors", "others", "authors", "books", "authors", "books", "readers"]


@pytest.mark.parametrize("is_away", [False, True])
def test_get_and_close_ends_the_connection_even_when_it_fails(
    documents: MongoDBConnector, client: Client, is_away: bool
) -> None:
    client.collection.is_away = is_away
    if is_away:
        with pytest.raises(ServerSelectionTimeoutError):
            documents.get_and_close("ada")
    else:
        documents.get_and_close("ada")
    assert client.closed == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda documents: documents.put("ada", {"a.b": 1}), "cannot name a field"),
        (lambda documents: documents.put("ada", {"$set": 1}), "cannot name a field"),
        (lambda documents: documents.put("ada", {"_id": "bob"}), "another _id"),
        (lambda documents: documents.get(sort_attribute="age", sort_type="up"), "choose asc or desc"),
        (lambda documents: documents.get(limit=-1), "cannot be"),
        (lambda documents: documents.get_random(limit=0), "1 document or more"),
        (lambda documents: documents.remove(), "everything=True"),
        (lambda documents: documents.remove({}), "everything=True"),
        (lambda documents: documents.create_index(), "needs an attribute"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_server_is_asked(
    documents: MongoDBConnector, client: Client, call: Callable[[MongoDBConnector], object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        call(documents)
    assert client.collection.calls == []


def test_one_value_is_no_list_to_push(documents: MongoDBConnector) -> None:
    with pytest.raises(TypeError, match="list of values"):
        documents.push("ada", "notes", "D")


@pytest.mark.parametrize(("database", "missing"), [(None, "database"), ("people", "collection")])
def test_the_part_of_the_place_that_is_not_named_is_told(database: str | None, missing: str) -> None:
    with MongoDBConnector("127.0.0.1") as connector:
        if database:
            connector.set_defaults(database)
        with pytest.raises(UsageError, match=f"no MongoDB {missing}"):
            connector.put({"age": 1})
