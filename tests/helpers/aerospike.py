"""What the connector uses of Aerospike's client, in memory, for where no server can be had.

It keeps to what https://aerospike.com/docs tells of server and client, raises the official client's own exceptions, and has it
check the keys.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

import aerospike
from aerospike import exception

BIN_NAME_LENGTH = 15
INTEGERS = range(-(2**63), 2**63)

RecordKey = tuple[str, "str | None", Any]


class FakeCluster:
    """A cluster; `connect` stands for `aerospike.client`.

    Args:
        namespaces: those of its configuration.
    """

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = namespaces
        self.records: dict[bytes, dict[str, Any]] = {}
        self.indexes: dict[tuple[str, str], tuple[str | None, str, int]] = {}
        self.lock = threading.Lock()
        self.clients: list[FakeClient] = []

    def connect(self, configuration: dict[str, Any]) -> FakeClient:
        """Return a connected client."""
        self.clients.append(FakeClient(self, configuration))
        return self.clients[-1]


class FakeClient:
    """A client; its methods have the official one's names, arguments, results and exceptions."""

    def __init__(self, cluster: FakeCluster, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.closed = False
        self._cluster = cluster

    def put(self, key: RecordKey, bins: dict[str, Any]) -> None:
        """Set bins of a record and leave its others; a null takes a bin away, the last one the record, if there is one."""
        if not bins:
            raise exception.ParamError("there are no bins")
        for name, value in bins.items():
            if len(name.encode()) > BIN_NAME_LENGTH:
                raise exception.BinNameError("A bin name should not exceed 15 characters limit")
            if not isinstance(value, aerospike.null):
                _check(value)
        with self._cluster.lock:
            if all(isinstance(value, aerospike.null) for value in bins.values()):
                self._record(key)
            record = self._cluster.records.setdefault(self._digest(key), {})
            record |= {name: copy.deepcopy(value) for name, value in bins.items()}
            for name in [name for name, value in record.items() if isinstance(value, aerospike.null)]:
                del record[name]
            if not record:
                del self._cluster.records[self._digest(key)]

    def get(self, key: RecordKey) -> tuple[Any, dict[str, int], dict[str, Any]]:
        """Return a record's key, metadata and bins."""
        with self._cluster.lock:
            return key, {"ttl": 0, "gen": 1}, copy.deepcopy(self._record(key))

    def exists(self, key: RecordKey) -> tuple[Any, dict[str, int] | None]:
        """Return a record's key and metadata; no metadata if there is no record."""
        with self._cluster.lock:
            return key, {"ttl": 0, "gen": 1} if self._digest(key) in self._cluster.records else None

    def remove(self, key: RecordKey) -> None:
        """Remove a record."""
        with self._cluster.lock:
            self._record(key)
            del self._cluster.records[self._digest(key)]

    def index_single_value_create(self, ns: str, set_: str | None, bin_: str, index_datatype: int, name: str) -> None:
        """Index a bin under a name that its namespace does not have yet."""
        if (ns, name) in self._cluster.indexes:
            raise exception.IndexFoundError("Index with the same name already exists")
        self._cluster.indexes[ns, name] = (set_, bin_, index_datatype)

    def close(self) -> None:
        """End the connection."""
        self.closed = True

    def _record(self, key: RecordKey) -> dict[str, Any]:
        record = self._cluster.records.get(self._digest(key))
        if record is None:
            raise exception.RecordNotFound("Record not found")
        return record

    def _digest(self, key: RecordKey) -> bytes:
        if self.closed:
            raise exception.ClusterError("No connection to aerospike cluster")
        namespace, set_, user_key = key
        if namespace not in self._cluster.namespaces:
            raise exception.NamespaceNotFound("Namespace not found")
        return namespace.encode() + b"/" + bytes(aerospike.calc_digest(namespace, set_ or "", user_key))


def _check(value: Any) -> None:
    """Refuse what Aerospike has no type for."""
    if isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name)
            _check(item)
    elif not (value is None or type(value) in (str, bytes, bool, float) or (type(value) is int and value in INTEGERS)):
        raise exception.ClientError(f"no type of Aerospike holds {value!r}")
