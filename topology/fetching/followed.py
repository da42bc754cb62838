"""The addresses that one fetcher follows, and how far each of them is."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from topology.clients.http import shown_url
from topology.clients.ledger import LedgerEntry
from topology.fetching.queue import Fetch
from topology.records import AddressEvent, AddressStatus

_NO_ENTRY = LedgerEntry("")


@dataclass(slots=True)
class Followed:
    """An address of this instance: its last event, status and ledger entry, and the fetch that waits or is under way."""

    partition: int
    event: AddressEvent
    status: AddressStatus | None = None
    fetch: Fetch | None = None
    entry: LedgerEntry = _NO_ENTRY

    def judged(self, reader: str) -> str:
        """Return a digest of all that decides the outcome of a description beside the description.

        Args:
            reader: A digest of the program and the settings that read it.
        """
        entry = self.entry
        parts = (entry.description_uri, entry.owner, entry.name, entry.description_hash, self.event.order)
        return digest(reader, *map(str, parts))

    def shown_entry(self) -> dict[str, Any]:
        """Return the members of the ledger's entry that statuses show."""
        entry = self.entry
        return {"source": shown_url(entry.description_uri), "owner": entry.owner, "name": entry.name}


class FollowedAddresses(dict[str, Followed]):
    """The followed addresses.

    Attributes:
        lock: Held by whoever changes them.
        answered_at: The times of answered events by address, also of partitions that went and may come back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.answered_at: dict[str, int] = {}

    def is_current(self, fetch: Fetch, followed: Followed) -> bool:
        """Tell whether an address is still followed, and waits for the end of this fetch."""
        return self.get(fetch.address) is followed and followed.fetch is fetch

    def leave(self, partitions: Collection[int]) -> None:
        """Leave the addresses of these partitions to another instance."""
        for address in [address for address, followed in self.items() if followed.partition in partitions]:
            del self[address]


def digest(*parts: str | bytes) -> str:
    """Return a digest of texts, the first of which cannot run into the others."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return hashlib.sha256(b"\0".join([str(len(encoded[0])).encode(), *encoded])).hexdigest()[:32]
