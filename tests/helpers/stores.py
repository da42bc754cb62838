"""Stores whose server may not answer."""

from __future__ import annotations

import time
from typing import Any

import redis
from pymongo.errors import PyMongoError

from catena_core.stores import Key, Store


class bounded:
    """Fails when its block takes longer than some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *error: object) -> None:
        assert time.monotonic() - self.started < self.seconds


def answer(store: Store) -> tuple[Key | None, Any] | None:
    """Get the record of `ada`; None as long as the server does not answer."""
    try:
        return store.get("ada")
    except (PyMongoError, redis.RedisError):
        return None
