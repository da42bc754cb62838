"""Follows the ledger and emits the addresses of offerings that are new, due for a refresh, or gone.

Run it alone with ``python links/address_generator.py -k localhost:9092``; start more of it to share the addresses.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence

from catena_core import Electron
from topology import records, topics
from topology.catalogue_link import CatalogueLink, now_in_milliseconds
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.ledger import Ledger
from topology.records import AddressEvent

# Seconds until an address without an offering is emitted again, doubled each time up to the refresh interval. Its provider may
# have been away for longer than the fetcher's retries.
_FIRST_RETRY = 30.0

# The least time-out of a listing, in seconds; a longer OFFERING_FETCH_INTERVAL raises it.
_LEDGER_TIMEOUT = 10.0


class AddressGenerator(CatalogueLink):
    """Polls the ledger's listing and emits addresses that are new, due for a refresh, or gone.

    Each address belongs to one partition of the output topic, and each partition to one instance. So several instances share
    the addresses, and none is emitted twice. Earlier events are read back from the topic itself.

    Settings: DLT_BASE_URL, OFFERING_FETCH_INTERVAL (60 s), OFFERING_REFRESH_INTERVAL (3600 s).
    """

    inputs = (topics.ADDRESSES,)
    outputs = (topics.ADDRESSES,)
    replay = True

    def setup(self) -> None:
        """Make the client of the ledger, and follow the topic of offerings."""
        super().setup()
        self._ledger = Ledger(
            self.settings.dlt_base_url, WebClient(timeout=max(_LEDGER_TIMEOUT, self.settings.offering_fetch_interval))
        )
        self._partitions = self.partition_count(self._topic)
        self._known: dict[int, dict[str, AddressEvent]] = {}
        self._complete: set[int] = set()
        self._doubted: set[str] | None = None
        self._junk = 0
        self._described = self.table(topics.OFFERINGS, decode=lambda _address, _value: True)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Take over the addresses of these partitions."""
        for _, partition in partitions:
            self._known[partition] = {}

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the addresses of these partitions to another instance."""
        for _, partition in partitions:
            self._known.pop(partition, None)
            self._complete.discard(partition)

    def replayed(self, partition: tuple[str, int]) -> None:
        """Mark a partition as complete: all earlier events of its addresses are known."""
        self._complete.add(partition[1])

    def transform(self, electron: Electron) -> None:
        """Remember an event that this instance or an earlier one emitted."""
        assert electron.partition is not None
        if electron.partition in self._known and isinstance(electron.key, str):
            self._known[electron.partition][electron.key] = records.from_text(electron.value, AddressEvent)

    def generator(self) -> None:
        """Compare the listing once, and wait for the next time."""
        # A standby instance must not take over with an old listing.
        while len(self._complete) < len(self._known) or not self._known:
            self.wait(0.05)
        started = time.monotonic()
        asked_at = now_in_milliseconds()
        try:
            listing = self._ledger.addresses()
        except (WebError, UnsafeError) as error:
            self.logger.log(f"the ledger's listing cannot be read, asking again: {error}", level="warning")
            self.wait(min(5.0, self.settings.offering_fetch_interval))
            return
        self._warn_of_junk(listing.junk)
        self.submit(self._compare, listing.addresses, asked_at)
        self.wait(max(0.05, self.settings.offering_fetch_interval - (time.monotonic() - started)))

    def _warn_of_junk(self, junk: int) -> None:
        if junk and junk != self._junk:
            self.logger.log(
                f"{junk} entries of the ledger's listing are no addresses; they are left out", level="warning"
            )
        self._junk = junk

    def _compare(self, listed: list[str], asked_at: int) -> None:
        """Emit the addresses of this instance that are new, due or gone.

        Args:
            listed: The listing.
            asked_at: When it was requested, in milliseconds since the Unix epoch; it says nothing of later events.
        """
        now = now_in_milliseconds()
        events: list[tuple[str, AddressEvent]] = []
        for address in listed:
            partition = self._partition(address)
            if partition not in self._complete:
                continue
            last = self._known[partition].get(address)
            if last is not None and last.at > asked_at:
                continue
            if last is None or last.kind == "delisted":
                events.append((address, AddressEvent("listed", now)))
            elif now - last.at >= 1000 * self._seconds_until_due(address, last):
                failures = 0 if address in self._described else last.failures + 1
                events.append((address, AddressEvent("refresh", now, failures)))
        events += [(address, AddressEvent("delisted", now)) for address in self._gone(set(listed), asked_at)]
        for address, event in events:
            partition = self._partition(address)
            self._known[partition][address] = event
            self.send(Electron(address, records.to_text(event), partition=partition))
        if events:
            kinds = [event.kind for _, event in events]
            counts = ", ".join(
                f"{kinds.count(kind)} {kind}" for kind in ("listed", "refresh", "delisted") if kind in kinds
            )
            self.logger.log(f"{len(listed)} offerings on the ledger; emitted {counts}")

    def _seconds_until_due(self, address: str, last: AddressEvent) -> float:
        """Return the seconds between the last event of an address and the next."""
        refresh = self.settings.offering_refresh_interval
        return refresh if address in self._described else min(refresh, _FIRST_RETRY * 2.0 ** min(last.failures, 30))

    def _gone(self, listed: set[str], asked_at: int) -> set[str]:
        """Return the addresses that the listing has lost."""
        standing = {
            address
            for partition in self._complete
            for address, event in self._known[partition].items()
            if event.kind != "delisted" and event.at <= asked_at
        }
        gone = standing - listed
        # A ledger with a bad moment must not empty the catalogue, however small.
        if gone and 2 * len(gone) >= len(standing) and (self._doubted is None or not gone <= self._doubted):
            self.logger.log(
                f"{len(gone)} of {len(standing)} offerings are gone from the listing at once; "
                "they are removed if the next listing says the same",
                level="warning",
            )
            self._doubted = gone
            return set()
        self._doubted = None
        return gone

    def _partition(self, address: str) -> int:
        return zlib.crc32(address.encode()) % self._partitions

    @property
    def _topic(self) -> str:
        return self.output_topics[0]


if __name__ == "__main__":
    AddressGenerator().start()
