"""A cache shared through Redis, which may vanish and come back at any time.

Without Redis each process keeps a bounded cache of its own and goes on; nothing that Catena must know stands here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from catena_core.errors import UsageError
from catena_core.extras import import_client
from catena_core.monitoring.logs import LinkLogger

if TYPE_CHECKING:
    import redis

_RETRY_AFTER = 5.0
_TIMEOUT = 0.5


class Cache:
    """Texts by key, each for a limited time.

    Args:
        host: Redis's host; empty: no Redis.
        port: Its port.
        database: Its database number.
        logger: Told when Redis goes, and when it is back.
        capacity: Entries that the process's own cache keeps when there is no Redis; the least recently used goes first.
    """

    def __init__(self, host: str, port: int, database: int, logger: LinkLogger, capacity: int = 10_000) -> None:
        self._logger = logger
        self._capacity = capacity
        self._own: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._told = False
        self._redis: redis.Redis[str] | None = None
        if host:
            try:
                self._library = import_client("redis", "redis", "redis")
            except UsageError as error:  # a missing client is a missing Redis
                self._away(error)
                return
            self._redis = self._library.Redis(
                host=host,
                port=port,
                db=database,
                decode_responses=True,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                # Once more, for a kept connection that was closed meanwhile. Its own default waits for seconds.
                retry=self._library.retry.Retry(self._library.backoff.NoBackoff(), 1),
            )

    def get(self, key: str) -> str | None:
        """What was put under a key, if it is still there."""
        if self._usable:
            try:
                found = cast("str | None", self._redis.get(key))  # type: ignore[union-attr]
                self._back()
                return found
            except self._library.RedisError as error:
                self._away(error)
        with self._lock:
            expires, text = self._own.get(key, (0.0, ""))
            if expires < time.monotonic():
                return None
            self._own.move_to_end(key)
            return text

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keep a text for a time."""
        if self._usable:
            try:
                self._redis.set(key, text, px=int(seconds * 1000))  # type: ignore[union-attr]
                self._back()
                return
            except self._library.RedisError as error:
                self._away(error)
        with self._lock:
            self._own[key] = (time.monotonic() + seconds, text)
            self._own.move_to_end(key)
            while len(self._own) > self._capacity:
                self._own.popitem(last=False)

    @property
    def _usable(self) -> bool:
        return self._redis is not None and time.monotonic() >= self._away_until

    def _away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _RETRY_AFTER
        if not self._told:
            self._told = True
            self._logger.log(
                f"no Redis, so this process keeps its own cache until it is back: {error}", level="warning"
            )

    def _back(self) -> None:
        if self._told:
            self._told = False
            self._logger.log("Redis is back")
