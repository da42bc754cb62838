"""Whole answers, kept for those who ask the same again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from federation.analysis.plan import Dataset

_LARGEST = 256 * 1024
_SHORTEST = 0.01  # seconds; Redis refuses less than a thousandth


class TextStore(Protocol):
    """Keeps texts by key for a time; ``topology.clients.redis_cache.Cache`` is one."""

    def get(self, key: str) -> str | None:
        """What was put under a key, if it is still there."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keep a text."""


class CachedResult(NamedTuple):
    """An answer as it is kept.

    Attributes:
        body: The result, serialised.
        tier: How it was found.
    """

    body: bytes
    tier: str


class ResultCache:
    """Answers by query, dataset, format, and the version of what the catalogue says: a change makes them unfindable.

    Args:
        store: Where they are kept; gateways that share it share them.
        seconds: For how long they are kept.
    """

    def __init__(self, store: TextStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def get(self, key: str) -> CachedResult | None:
        """A kept answer."""
        text = self._store.get(key)
        if text is None:
            return None
        tier, _, body = text.partition("\n")
        return CachedResult(body.encode(), tier)

    def put(self, key: str, result: CachedResult, seconds: float) -> None:
        """Keep an answer, if it is not large, nor for no time.

        Args:
            key: See :func:`key`.
            result: The answer.
            seconds: For how long at most.
        """
        seconds = min(seconds, self._seconds)
        if len(result.body) <= _LARGEST and seconds >= _SHORTEST:
            self._store.put(key, f"{result.tier}\n{result.body.decode()}", seconds)


def key(text: str, dataset: Dataset, media_type: str, version: str) -> str:
    """What an answer is found by.

    Args:
        text: The query.
        dataset: Where it looks.
        media_type: The format of the answer.
        version: Names what the catalogue says.
    """

    def listed(graphs: Iterable[str] | None) -> list[str] | None:
        return None if graphs is None else sorted(graphs)

    parts = [text, listed(dataset.default), listed(dataset.named), dataset.overrides, media_type, version]
    return f"sparql:{hashlib.blake2b(msgspec.json.encode(parts), digest_size=20).hexdigest()}"
