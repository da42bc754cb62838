"""Makes clients of Redis, for the store of links and for the cache of the catalogue."""

from __future__ import annotations

from typing import Any

import redis
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["RedisError", "redis_client"]


def redis_client(url: str, timeout: float, **options: Any) -> redis.Redis[bytes]:
    """Make a client that tries each command at most twice, since the server may have closed an idle connection.

    Args:
        url: Starts with ``redis://``, ``rediss://`` (TLS) or ``unix://``; its options win over the arguments here.
        timeout: Seconds to wait for a connection, and for an answer.
        options: Further ones of redis-py, for instance ``password``, which is safer here than in a URL.
    """
    return redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 1), **options
    )
