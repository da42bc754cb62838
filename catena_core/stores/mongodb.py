"""MongoDB, by PyMongo: documents found by queries, and records found by keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from catena_core.errors import UsageError
from catena_core.stores.connector import TIMEOUT, Connector, import_client
from catena_core.stores.store import Key, Store, check_key, record_of, value_of

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

Document = dict[str, Any]
Query = Mapping[str, Any]
"""The query that selects documents (https://www.mongodb.com/docs/manual/tutorial/query-documents/)."""

Keys = Sequence[tuple[str, Any]]
"""Attributes with their directions, 1 or -1, in the order of their weight."""

_DIRECTIONS = {"asc": 1, "desc": -1}


class MongoDBConnector(Connector["MongoClient[Document]"], Store):
    """Documents in MongoDB; also a `Store`.

    A key (text, bytes, an integer) in place of a query means the document whose ``_id`` it is. ``put`` and ``get`` then mean
    their meaning in `Store`: ``put(key, value)`` and ``get(key) -> (stored key, value)``.

    Args:
        endpoint: ``host:port[,host:port…]``, or a URI that starts with ``mongodb://`` or ``mongodb+srv://``
            (https://www.mongodb.com/docs/manual/reference/connection-string/).
        timeout: Seconds to wait for a connection, and for an answer; the URI's own options win.

    Raises:
        UsageError: The endpoint is malformed, or PyMongo is not installed.
    """

    def __init__(self, endpoint: str, timeout: float = TIMEOUT) -> None:
        super().__init__(timeout)
        self._library = import_client("catena_core.stores.mongodb_client", "pymongo", "mongodb")
        self._uri: str = self._library.read_endpoint(endpoint)
        self._database: str | None = None
        self._collection: str | None = None

    def set_defaults(self, database: str, collection: str | None = None) -> None:
        """Say which database and collection are meant where a call names none.

        Args:
            database: A database; MongoDB makes it with its first document.
            collection: A collection; ``None``: the one that was the default before, if any.
        """
        self._database = database
        self._collection = collection if collection is not None else self._collection

    @overload
    def put(
        self,
        value: Query,
        query: Query | Key | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
    ) -> None: ...

    @overload
    def put(
        self,
        value: Key,
        query: Any = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        store_key: bool = False,
    ) -> None: ...

    def put(
        self,
        value: Any,
        query: Any = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        store_key: bool = False,
    ) -> None:
        """Write a document: ``put(document)`` inserts, ``put(document, query)`` updates, ``put(key, value)`` does as `Store`.

        Args:
            value: A document, or the key of a record.
            query: To a document, a query or key: the first that matches is updated like by ``update``; without one, or
                with an empty one, the document is inserted. To a key, its values: a dictionary of fields or
                another value.
            database_name: Its database.
            collection_name: Its collection.
            store_key: To a key, keep it in the field ``key``, too, so that ``get`` returns it.
        """
        if not isinstance(value, Mapping):
            self._put_record(check_key(value), query, database_name, collection_name, store_key)
        elif query is None or query == {}:
            self.insert(value, database_name, collection_name)
        else:
            self.update(query, value, database_name, collection_name)

    def insert(self, value: Query, database_name: str | None = None, collection_name: str | None = None) -> Any:
        """Insert a copy of a document; return the ``_id`` that it has there."""
        return self._documents(database_name, collection_name).insert_one(dict(value)).inserted_id

    def update(
        self,
        query: Query | Key,
        value: Query,
        database_name: str | None = None,
        collection_name: str | None = None,
    ) -> None:
        """Set fields of the first document that matches, or insert one of the query's and these fields."""
        documents = self._documents(database_name, collection_name)
        documents.update_one(_filter(query), {"$set": dict(value)}, upsert=True)

    def push(
        self,
        query: Query | Key,
        key: str,
        value: Sequence[Any],
        database_name: str | None = None,
        collection_name: str | None = None,
    ) -> None:
        """Append values to a list in the first document that matches, or insert one with that list.

        Args:
            query: The query that it matches.
            key: The field of the list; it is made where it is not there.
            value: The values.
        """
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"push appends a list of values, not {type(value).__name__}; put one value into a list")
        documents = self._documents(database_name, collection_name)
        documents.update_one(_filter(query), {"$push": {key: {"$each": list(value)}}}, upsert=True)

    @overload
    def get(
        self,
        query: Query | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        sort: Keys | None = None,
        sort_attribute: str | None = None,
        sort_type: str = "asc",
        limit: int | None = None,
        index: str | Keys | None = None,
        index_attribute: str | None = None,
        index_type: str = "asc",
    ) -> Iterator[Document]: ...

    @overload
    def get(
        self, query: Key, database_name: str | None = None, collection_name: str | None = None
    ) -> tuple[Key | None, Any]: ...

    def get(
        self,
        query: Query | Key | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        sort: Keys | None = None,
        sort_attribute: str | None = None,
        sort_type: str = "asc",
        limit: int | None = None,
        index: str | Keys | None = None,
        index_attribute: str | None = None,
        index_type: str = "asc",
    ) -> Any:
        """Find documents, or a record by its key.

        Args:
            query: The query that documents match; ``None``: all. Or the key of a record.
            database_name: Their database.
            collection_name: Their collection.
            sort: Attributes and directions by which they are sorted.
            sort_attribute: The one attribute by which they are sorted, in place of ``sort``.
            sort_type: Its direction, ``asc`` or ``desc``.
            limit: The most documents; ``None`` or 0: all.
            index: The index to use, by its name or its attributes and directions; ``None``: the server's choice.
            index_attribute: The one attribute of the index to use, in place of ``index``.
            index_type: Its direction, ``asc`` or ``desc``.

        Returns:
            An iterator of documents, which are read from the server as they are asked for. To a key, the field ``key`` or
            ``None``, and the field ``value``, or the fields if there are others; ``(None, None)`` if there is none.
        """
        documents = self._documents(database_name, collection_name)
        if query is not None and not isinstance(query, Mapping):
            document = documents.find_one(_filter(query))
            return value_of({name: item for name, item in (document or {}).items() if name != "_id"})
        found = documents.find(_filter(query), sort=_order(sort, sort_attribute, sort_type), limit=_limit(limit))
        hint = index if index is not None else _order(None, index_attribute, index_type)
        return found if hint is None else found.hint(hint)

    @overload
    def get_and_close(
        self, query: Query | None = None, database_name: str | None = None, collection_name: str | None = None
    ) -> Iterator[Document]: ...

    @overload
    def get_and_close(
        self, query: Key, database_name: str | None = None, collection_name: str | None = None
    ) -> tuple[Key | None, Any]: ...

    def get_and_close(
        self, query: Query | Key | None = None, database_name: str | None = None, collection_name: str | None = None
    ) -> Any:
        """Find documents or a record like ``get``, read them all, and end the connection."""
        try:
            if query is None or isinstance(query, Mapping):
                return iter(list(self.get(query, database_name, collection_name)))
            return self.get(query, database_name, collection_name)
        finally:
            self.close()

    def get_random(
        self,
        query: Query | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        sort: Keys | None = None,
        sort_attribute: str | None = None,
        sort_type: str = "asc",
        limit: int = 1,
    ) -> Iterator[Document]:
        """Draw documents by chance (``$sample``).

        Args:
            query: The query that they match; ``None``: all.
            database_name: Their database.
            collection_name: Their collection.
            sort: Attributes and directions by which those drawn are sorted.
            sort_attribute: The one attribute by which they are sorted, in place of ``sort``.
            sort_type: Its direction, ``asc`` or ``desc``.
            limit: How many are drawn, 1 or more.
        """
        if limit < 1:
            raise ValueError(f"get_random draws 1 document or more, not {limit}")
        stages: list[Document] = [{"$match": _filter(query)}, {"$sample": {"size": limit}}]
        if order := _order(sort, sort_attribute, sort_type):
            stages.append({"$sort": dict(order)})
        return self._documents(database_name, collection_name).aggregate(stages)

    def exists(
        self,
        query: Query | Key | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
    ) -> bool:
        """Tell whether a document matches."""
        return self._documents(database_name, collection_name).find_one(_filter(query), {"_id": 1}) is not None

    def count(
        self,
        query: Query | Key | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
    ) -> int:
        """Count the documents that match; without a query, all."""
        return self._documents(database_name, collection_name).count_documents(_filter(query))

    def remove(
        self,
        query: Query | Key | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        everything: bool = False,
    ) -> int:
        """Remove the documents that match.

        Args:
            query: The query that they match. Without one, or with an empty one, that is all, and needs ``everything``: a query
                that went missing must not empty a collection.
            database_name: Their database.
            collection_name: Their collection.
            everything: That all are meant.

        Returns:
            How many there were.

        Raises:
            ValueError: There is no query, and ``everything`` is not said.
        """
        matching = _filter(query)
        if not matching and not everything:
            raise ValueError("remove without a query would remove every document; if you mean that: everything=True")
        return self._documents(database_name, collection_name).delete_many(matching).deleted_count

    def create_index(
        self,
        attribute: str | None = None,
        keys: Keys | None = None,
        database_name: str | None = None,
        collection_name: str | None = None,
        unique: bool = False,
        type_: str = "asc",
        background: bool = True,
    ) -> None:
        """Index attributes; nothing happens if that index is there.

        Args:
            attribute: The one attribute.
            keys: The attributes and their directions, in its place.
            database_name: The database.
            collection_name: The collection.
            unique: That no two documents may have the same values there.
            type_: The direction of ``attribute``, ``asc`` or ``desc``.
            background: Nothing any more: MongoDB goes on with other work in any case. Links written for Catenae say it.
        """
        order = _order(keys, attribute, type_)
        if not order:
            raise ValueError("create_index needs an attribute, or keys such as [('name', 1), ('age', -1)]")
        self._documents(database_name, collection_name).create_index(order, unique=unique)

    def _put_record(
        self, key: Key, value: Any, database_name: str | None, collection_name: str | None, store_key: bool
    ) -> None:
        if isinstance(value, Mapping):
            if value.get("_id", key) != key:
                raise ValueError(f"the value put under {key!r} has another _id; put it under that, or leave it out")
            value = {name: item for name, item in value.items() if name != "_id"}
        record = record_of(key, value, store_key)
        for name in record:
            if "." in name or name.startswith("$"):
                raise ValueError(f"'{name}' cannot name a field: MongoDB reads '.' as a path and '$' as an operator")
        fields = {name: item for name, item in record.items() if item is not None}
        removed = {name: "" for name, item in record.items() if item is None}
        change = ({"$set": fields} if fields else {}) | ({"$unset": removed} if removed else {})
        documents = self._documents(database_name, collection_name)
        documents.update_one({"_id": key}, change, upsert=bool(fields))
        if not fields:  # the last field may have gone, and with it, as in the other stores, the record
            documents.delete_one({"_id": key, "$expr": {"$eq": [{"$size": {"$objectToArray": "$$ROOT"}}, 1]}})

    def _documents(self, database_name: str | None, collection_name: str | None) -> Collection[Document]:
        database_name = database_name or self._database
        collection_name = collection_name or self._collection
        if not database_name or not collection_name:
            missing = "database" if not database_name else "collection"
            raise UsageError(
                f"no MongoDB {missing}: call set_defaults(database, collection) in setup, or name it in the call"
            )
        return self.client[database_name][collection_name]

    def _connect(self) -> MongoClient[Document]:
        client: MongoClient[Document] = self._library.connect(self._uri, self.timeout)
        return client

    def _disconnect(self, client: MongoClient[Document]) -> None:
        client.close()


def _filter(query: Query | Key | None) -> Query:
    if query is None:
        return {}
    return query if isinstance(query, Mapping) else {"_id": check_key(query)}


def _order(keys: Keys | None, attribute: str | None, direction: str | None) -> list[tuple[str, Any]] | None:
    """Give the attributes and directions of either way to order documents."""
    if keys:
        return list(keys)
    if not attribute:
        return None
    if direction not in _DIRECTIONS:
        raise ValueError(f"'{direction}' is no direction; choose asc or desc")
    return [(attribute, _DIRECTIONS[direction])]


def _limit(limit: int | None) -> int:
    if limit is not None and limit < 0:
        raise ValueError(f"a limit of {limit} documents cannot be; give 1 or more, or None for all")
    return limit or 0
