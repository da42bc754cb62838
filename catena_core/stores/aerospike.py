"""Aerospike, by its official client."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from catena_core.errors import UsageError
from catena_core.stores.connector import TIMEOUT, Connector, addresses, host_port, import_client
from catena_core.stores.store import Key, Store, check_key, record_of, value_of

PORT = 3000
SCHEME = "aerospike://"


class AerospikeConnector(Connector[Any], Store):
    """Records in Aerospike; a `Store`.

    Args:
        endpoint: ``host:port[,host:port…]``, with ``aerospike://`` before it or not.
        timeout: Seconds to wait for a connection, and for an answer.
        client_factory: Makes a connected client from a configuration; ``None``: ``aerospike.client``. A cluster that asks for
            a user or for TLS gets one that adds them.

    Raises:
        UsageError: The endpoint is malformed, or the client is not installed.
    """

    def __init__(
        self, endpoint: str, timeout: float = TIMEOUT, client_factory: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        super().__init__(timeout)
        self._library = import_client("aerospike", "aerospike", "aerospike")
        self._exceptions = self._library.exception
        self._hosts = addresses(endpoint.removeprefix(SCHEME).rstrip("/"), PORT)
        self._client_factory = client_factory or self._library.client
        self._namespace: str | None = None
        self._set: str | None = None

    def set_defaults(self, namespace: str, set_: str | None = None) -> None:
        """Say which namespace and set are meant where a call names none.

        Args:
            namespace: A namespace of the server's configuration.
            set_: A set; ``None``: the one that was the default before, if any.
        """
        self._namespace = namespace
        self._set = set_ if set_ is not None else self._set

    def put(
        self,
        key: Key,
        bins: Any = None,
        namespace: str | None = None,
        set_: str | None = None,
        store_key: bool = False,
    ) -> None:
        """Write a record, or into the one that is there.

        Args:
            key: The record's key.
            bins: A dictionary of bins: each replaces the one of its name, ``None`` takes that away, and bins that are not
                given stay as they are. Anything else replaces the bin ``value``; left out, that is 0.
            namespace: Its namespace.
            set_: Its set.
            store_key: Keep the key in the bin ``key``, so that ``get`` returns it.
        """
        record = record_of(key, bins, store_key)
        values = {name: self._library.null() if value is None else value for name, value in record.items()}
        record_key = self._key(key, namespace, set_)
        try:
            self.client.put(record_key, values)
        except self._exceptions.RecordNotFound:
            if any(value is not None for value in record.values()):
                raise
            # else there is nothing to take away

    def get(self, key: Key, namespace: str | None = None, set_: str | None = None) -> tuple[Key | None, Any]:
        """Return a record: the bin ``key`` or ``None``, and the value of the bin ``value``, or the bins if there are others.

        Returns:
            If there is no such record, ``(None, None)``.
        """
        record_key = self._key(key, namespace, set_)
        try:
            _, _, bins = self.client.get(record_key)
        except self._exceptions.RecordNotFound:
            return None, None
        return value_of(bins)

    def get_and_close(self, key: Key, namespace: str | None = None, set_: str | None = None) -> tuple[Key | None, Any]:
        """Return a record like ``get``, and end the connection."""
        try:
            return self.get(key, namespace, set_)
        finally:
            self.close()

    def exists(self, key: Key, namespace: str | None = None, set_: str | None = None) -> bool:
        """Tell whether there is a record of that key."""
        record_key = self._key(key, namespace, set_)
        _, metadata = self.client.exists(record_key)
        return metadata is not None

    def remove(self, key: Key, namespace: str | None = None, set_: str | None = None) -> int:
        """Take a record away; return how many there were, 1 or 0."""
        record_key = self._key(key, namespace, set_)
        try:
            self.client.remove(record_key)
        except self._exceptions.RecordNotFound:
            return 0
        return 1

    def create_index(
        self,
        bin_: str,
        set_: str | None = None,
        type_: str = "string",
        name: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Index a bin; nothing happens if an index of that name is there.

        Args:
            bin_: The bin.
            set_: The set whose records are indexed.
            type_: The type of the bin's values: ``string``, or ``integer`` (also called ``numeric``).
            name: The index's name, one in the namespace; ``None``: ``<set>_<bin>_index``.
            namespace: The namespace.
        """
        types = {
            "string": self._library.INDEX_STRING,
            "integer": self._library.INDEX_NUMERIC,
            "numeric": self._library.INDEX_NUMERIC,
        }
        if type_ not in types:
            raise UsageError(f"Aerospike has no index of type '{type_}'; choose one of {', '.join(types)}")
        namespace, set_ = self._place(namespace, set_)
        name = name or "_".join(part for part in (set_, bin_, "index") if part)
        with suppress(self._exceptions.IndexFoundError):
            self.client.index_single_value_create(namespace, set_, bin_, types[type_], name)

    def _key(self, key: Key, namespace: str | None, set_: str | None) -> tuple[str, str | None, Any]:
        check_key(key)
        namespace, set_ = self._place(namespace, set_)
        # The client hashes bytes in this form only.
        return namespace, set_, bytearray(key) if isinstance(key, bytes) else key

    def _place(self, namespace: str | None, set_: str | None) -> tuple[str, str | None]:
        namespace = namespace or self._namespace
        if not namespace:
            raise UsageError(
                "no Aerospike namespace: call set_defaults(namespace, set_) in setup, or name it in the call"
            )
        return namespace, set_ or self._set

    def _connect(self) -> Any:
        milliseconds = max(1, int(self.timeout * 1000))
        policy = {"total_timeout": milliseconds, "socket_timeout": milliseconds}
        configuration = {
            "hosts": self._hosts,
            "connect_timeout": milliseconds,
            "policies": {"read": policy, "write": policy, "remove": policy, "info": {"timeout": milliseconds}},
        }
        try:
            return self._client_factory(configuration)
        except self._exceptions.AerospikeError as error:
            # The client's own message names no address.
            hosts = ",".join(map(host_port, self._hosts))
            raise type(error)(f"Aerospike at {hosts} cannot be used: {error}") from error

    def _disconnect(self, client: Any) -> None:
        client.close()
