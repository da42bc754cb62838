"""The stores of one link, made when it first asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from catena_core.connectors.aerospike import AerospikeConnector
from catena_core.connectors.mongodb import MongoDBConnector
from catena_core.connectors.redis import RedisConnector
from catena_core.options import LinkOptions

Made = TypeVar("Made")


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
        return self._get(self._options().mongodb_endpoint, MongoDBConnector)

    @property
    def aerospike(self) -> AerospikeConnector | None:
        """Aerospike; ``None`` without an endpoint."""
        return self._get(self._options().aerospike_endpoint, AerospikeConnector)

    @property
    def redis(self) -> RedisConnector | None:
        """Redis; ``None`` without an endpoint."""
        return self._get(self._options().redis_endpoint, RedisConnector)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for connector in self._made.values():
                connector.close()

    def _get(self, endpoint: str | None, make: Callable[[str], Made]) -> Made | None:
        if endpoint is None:
            return None
        with self._lock:
            if endpoint not in self._made:
                self._made[endpoint] = make(endpoint)
            made: Made = self._made[endpoint]
            return made
