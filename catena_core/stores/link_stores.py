"""The stores of one link, made when it first asks for them: until then it loads none of their clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from catena_core.options import LinkOptions

if TYPE_CHECKING:
    from catena_core.stores import AerospikeConnector, MongoDBConnector, RedisConnector


class LinkStores:
    """The connectors for the endpoints that a link was given.

    Args:
        options: Called for the link's options.
    """

    def __init__(self, options: Callable[[], LinkOptions]) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}

    @property
    def mongodb(self) -> MongoDBConnector | None:
        """MongoDB; ``None`` without an endpoint."""
        connector: MongoDBConnector | None = self._get("MongoDBConnector", self._options().mongodb_endpoint)
        return connector

    @property
    def aerospike(self) -> AerospikeConnector | None:
        """Aerospike; ``None`` without an endpoint."""
        connector: AerospikeConnector | None = self._get("AerospikeConnector", self._options().aerospike_endpoint)
        return connector

    @property
    def redis(self) -> RedisConnector | None:
        """Redis; ``None`` without an endpoint."""
        connector: RedisConnector | None = self._get("RedisConnector", self._options().redis_endpoint)
        return connector

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for connector in self._made.values():
                connector.close()

    def _get(self, kind: str, endpoint: str | None) -> Any:
        if endpoint is None:
            return None
        with self._lock:
            if kind not in self._made:
                self._made[kind] = getattr(import_module("catena_core.stores"), kind)(endpoint)
            return self._made[kind]
