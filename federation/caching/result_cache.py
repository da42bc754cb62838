"""A cache of whole answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from federation.analysis.plan import Dataset

_LARGEST = 256 * 1024
_SHORTEST = 0.01  # seconds; Redis refuses less than a thousandth


class TextStore(Protocol):
    """Stores texts by key for a time; ``topology.clients.redis_cache.Cache`` is one."""

    def get(self, key: str) -> str | None:
        """Return the text under a key; ``None`` when there is none any more."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Store a text."""


class CachedResult(NamedTuple):
    """A cached answer.

    Attributes:
        body: The result, serialised.
        tier: As in ``Answer.tier``.
    """

    body: bytes
    tier: str


class ResultCache:
    """Caches answers by query, dataset, format and version of the catalogue; after a change of the catalogue none is found.

    Args:
        store: The storage; gateways with the same one share answers.
        seconds: For how long to cache an answer.
    """

    def __init__(self, store: TextStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def get(self, key: str) -> CachedResult | None:
        """Return a cached answer."""
        text = self._store.get(key)
        if text is None:
            return None
        tier, _, body = text.partition("\n")
        return CachedResult(body.encode(), tier)

    def put(self, key: str, result: CachedResult, seconds: float) -> None:
        """Cache an answer, unless it is large.

        Args:
            key: See :func:`key`.
            result: The answer.
            seconds: For how long at most.
        """
        seconds = min(seconds, self._seconds)
        if len(result.body) <= _LARGEST and seconds >= _SHORTEST:
            self._store.put(key, f"{result.tier}\n{result.body.decode()}", seconds)


def key(text: str, dataset: Dataset, media_type: str, version: str) -> str:
    """Return the key of an answer.

    Args:
        text: The query.
        dataset: Its dataset.
        media_type: The format of the answer.
        version: The version of the catalogue.
    """

    def listed(graphs: Iterable[str] | None) -> list[str] | None:
        return None if graphs is None else sorted(graphs)

    parts = [text, listed(dataset.default), listed(dataset.named), dataset.overrides, media_type, version]
    return f"sparql:{hashlib.blake2b(msgspec.json.encode(parts), digest_size=20).hexdigest()}"
