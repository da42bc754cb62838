"""A cache shared through Redis, which may go and come back at any time.

Without Redis each process uses a bounded cache of its own. Catena can lose every entry without harm.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from catena_core.errors import UsageError
from catena_core.extras import import_client
from catena_core.monitoring.logs import LinkLogger
from topology.settings import RedisSecurity

if TYPE_CHECKING:
    import redis

_RETRY_AFTER = 5.0
_TIMEOUT = 0.5
_OPEN = RedisSecurity()


def connect(
    host: str, port: int, database: int, security: RedisSecurity = _OPEN, timeout: float = _TIMEOUT
) -> redis.Redis[bytes]:
    """Make a client of Redis, which connects when it is first used.

    Args:
        host: The host of Redis.
        port: Its port.
        database: Its database number.
        security: The way past its door.
        timeout: Seconds that it may take to answer.

    Raises:
        UsageError: The client's library is not installed.
    """
    library = import_client("catena_core.stores.redis_client", "redis", "redis")
    named = f"[{host}]" if ":" in host else host
    client: redis.Redis[bytes] = library.redis_client(
        f"{'rediss' if security.uses_tls else 'redis'}://{named}:{port}/{database}",
        timeout,
        username=security.user or None,
        password=security.password.reveal() or None,
        **({"ssl_ca_certs": security.ca_file} if security.uses_tls and security.ca_file else {}),
    )
    return client


def advice(error: Exception, security: RedisSecurity) -> str:
    """Name the settings that may be wrong where Redis does not let a client in.

    Args:
        error: The error of the client.
        security: The way past its door that was tried.
    """
    said = str(error)
    if type(error).__name__ in ("AuthenticationError", "NoPermissionError"):
        return "correct REDIS_USER and REDIS_PASSWORD"
    if "SSL" in said or "certificate" in said:
        return "correct REDIS_TLS and REDIS_CA_FILE"
    if any(word in said for word in ("closed", "reset", "Protocol Error")):
        way = "0 where it speaks no TLS" if security.uses_tls else "1 where it speaks TLS"
        return f"set REDIS_TLS={way}"
    return "correct REDIS_HOST and REDIS_PORT"


class Cache:
    """Caches texts by key, each for a limited time.

    Args:
        host: The host of Redis; empty for no Redis.
        port: Its port.
        database: Its database number.
        logger: Logs when Redis goes and when it is back.
        capacity: The number of entries in the process's own cache; the least recently used one goes first.
        security: The way past Redis' door.
    """

    def __init__(
        self,
        host: str,
        port: int,
        database: int,
        logger: LinkLogger,
        capacity: int = 10_000,
        security: RedisSecurity = _OPEN,
    ) -> None:
        self._logger = logger
        self._capacity = capacity
        self._own: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._has_warned = False
        self._security = security
        self._redis: redis.Redis[bytes] | None = None
        if host:
            try:
                self._library = import_client("catena_core.stores.redis_client", "redis", "redis")
                self._redis = connect(host, port, database, security)
            except UsageError as error:  # a missing client is a missing Redis
                self._away(error)

    def get(self, key: str) -> str | None:
        """Return the text under a key; ``None`` if there is none, or if its time is over."""
        client = self._usable_client
        if client is not None:
            try:
                found = client.get(key)
                self._back()
                return None if found is None else found.decode()
            except self._library.RedisError as error:
                self._away(error)
        with self._lock:
            expires, text = self._own.get(key, (0.0, ""))
            if expires < time.monotonic():
                return None
            self._own.move_to_end(key)
            return text

    def put(self, key: str, text: str, seconds: float) -> None:
        """Cache a text under a key.

        Args:
            key: The key.
            text: The text.
            seconds: The time to keep it.
        """
        client = self._usable_client
        if client is not None:
            try:
                client.set(key, text, px=int(seconds * 1000))
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
    def _usable_client(self) -> redis.Redis[bytes] | None:
        return self._redis if time.monotonic() >= self._away_until else None

    def _away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _RETRY_AFTER
        if not self._has_warned:
            self._has_warned = True
            self._logger.log(
                f"no Redis, so this process keeps its own cache until it is back: {error}; {advice(error, self._security)}",
                level="warning",
            )

    def _back(self) -> None:
        if self._has_warned:
            self._has_warned = False
            self._logger.log("Redis is back")
