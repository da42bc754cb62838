"""Follows the ledger and emits the addresses of offerings that are new, due for a refresh, or gone.

Run it alone with ``python links/address_generator.py -k localhost:9092``; start more of it to share the addresses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from catena_core import Electron
from topology import records, topics
from topology.catalogue_link import CatalogueLink, now_in_milliseconds
from topology.clients.advice import retry_after
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.ledger import Ledger, StatusError, same_address
from topology.records import AddressEvent

# The least time-out of a listing, in seconds; a longer OFFERING_FETCH_INTERVAL raises it.
_LEDGER_TIMEOUT = 10.0

# Seconds for which a listing may be compared: within the session timeout of the consumer group, after which other instances
# have the partitions of one that was paused.
_LISTING_HOLDS = 10.0

# The longest time that a booth may ask for, in seconds: new offerings wait for its listing.
_LONGEST_RETRY_AFTER = 300.0

# A sudden loss of nearly everything is believed after so many looks; one of few addresses, after two, and without a warning.
_MOST_LOOKS = 10
_FEW = 0.05


class AddressGenerator(CatalogueLink):
    """Polls the ledger's listing and emits addresses that are new, due for a refresh, or gone.

    Each address belongs to one partition of the output topic, and each partition to one instance. So several instances share
    the addresses, and none is emitted twice. Earlier events are read back from the topic itself. Each event carries the rank of
    its address in the listing, which decides between two addresses that describe the same offering.

    Settings: DLT_BASE_URL, OFFERING_FETCH_INTERVAL (60 s), OFFERING_REFRESH_INTERVAL (3600 s).
    """

    inputs = (topics.ADDRESSES,)
    outputs = (topics.ADDRESSES,)
    replay = True

    def setup(self) -> None:
        """Make the client of the ledger, and follow the events of all instances."""
        super().setup()
        self._ledger = Ledger(
            self.settings.dlt_base_url,
            WebClient(max(_LEDGER_TIMEOUT, self.settings.offering_fetch_interval), access=self.access.ledger),
        )
        self._partitions = self.partition_count(self._topic)
        self._known: dict[int, dict[str, AddressEvent]] = {}
        self._complete: set[int] = set()
        # By address, the number of listings in a row that lack it.
        self._missed: dict[str, int] = {}
        self._missed_at = 0
        self._listed_before = 0
        self._junk = 0
        self._events = self.table(self._topic, decode=lambda _address, value: records.from_text(value, AddressEvent))

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
            pause = max(min(5.0, self.settings.offering_fetch_interval), self._requested_pause(error))
            self.logger.log(
                f"the ledger's listing cannot be read, asking again in {pause:g} s: {error}; DLT_BASE_URL names the booth",
                level="warning",
            )
            self.wait(pause)
            return
        self._warn_of_junk(listing.junk)
        self.submit(self._compare_fresh, listing.addresses, asked_at, time.monotonic())
        self.wait(max(0.05, self.settings.offering_fetch_interval - (time.monotonic() - started)))

    def _requested_pause(self, error: Exception) -> float:
        """Return the seconds for which a booth wants to be left alone; 0 if it does not say."""
        if not isinstance(error, StatusError):
            return 0.0
        return retry_after(error.status, error.headers, self.now(), _LONGEST_RETRY_AFTER)

    def _warn_of_junk(self, junk: int) -> None:
        if junk and junk != self._junk:
            self.logger.log(
                f"{junk} entries of the ledger's listing are no addresses; they are left out", level="warning"
            )
        self._junk = junk

    def _compare_fresh(self, listed: list[str], asked_at: int, received: float) -> None:
        """Compare a listing, unless it is old: this process was paused, and others have the partitions by now."""
        if time.monotonic() - received < _LISTING_HOLDS:
            self._compare(listed, asked_at)
        else:
            self.logger.log("the ledger's listing has become old; asking for it again", level="warning")

    def _compare(self, listed: list[str], asked_at: int) -> None:
        """Emit the addresses of this instance that are new, due or gone.

        Args:
            listed: The listing.
            asked_at: When it was requested, in milliseconds since the Unix epoch; it says nothing of later events.
        """
        now = now_in_milliseconds()
        listed = self._spelled_as_before(listed)
        events: list[tuple[str, AddressEvent]] = []
        for address, rank in self._ranked(listed):
            partition = self._partition(address)
            if partition not in self._complete:
                continue
            last = self._known[partition].get(address)
            if last is not None and _is_later(last, asked_at):
                continue
            if last is None or last.kind == "delisted":
                events.append((address, AddressEvent("listed", now, order=rank)))
            elif abs(now - last.at) >= 1000 * self.settings.offering_refresh_interval:
                events.append((address, AddressEvent("refresh", now, order=rank)))
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

    def _spelled_as_before(self, listed: list[str]) -> list[str]:
        """Return the addresses in the spelling that is known, though the ledger may write them in other letters now."""
        known = {
            same_address(address): address for address, event in self._events.copy().items() if event.kind != "delisted"
        }
        return [known.get(same_address(address), address) for address in listed]

    def _ranked(self, listed: list[str]) -> Iterator[tuple[str, int]]:
        """Give each address its rank in the listing.

        An address keeps the rank that it got first, though entries before it may go. So ranks never fall.
        """
        last = 0
        for address in listed:
            event = self._known.get(self._partition(address), {}).get(address) or self._events.get(address)
            rank = event.order if event is not None and event.kind != "delisted" and event.order else last + 1
            last = max(last, rank)
            yield address, rank

    def _gone(self, listed: set[str], asked_at: int) -> set[str]:
        """Return the addresses that so many listings in a row lack that they are believed."""
        standing = {
            address
            for partition in self._complete
            for address, event in self._known[partition].items()
            if event.kind != "delisted" and not _is_later(event, asked_at)
        }
        missing = standing - listed
        is_shrunk = 5 * len(listed) < 3 * self._listed_before
        # A ledger with a bad moment must not empty the catalogue, however small, and one of several booths may lag behind the
        # others. Half a listing may lack less than half of this instance's share.
        is_doubtful = is_shrunk or 2 * len(missing) >= len(standing)
        needed = _looks_to_believe(len(missing), len(standing)) if is_doubtful else 2
        was_doubtful = bool(self._missed)
        self._count_looks(missing, asked_at)
        gone = {address for address in missing if self._missed[address] >= needed}
        if len(gone) == len(missing) or not is_shrunk:
            self._listed_before = len(listed)
        if len(gone) < len(missing) and not was_doubtful and len(missing) > max(1, _FEW * len(standing)):
            self.logger.log(
                f"{len(missing)} of {len(standing)} offerings are gone from the listing at once; "
                f"they are removed if {needed} listings in a row say the same",
                level="warning",
            )
        for address in gone:
            del self._missed[address]
        return gone

    def _count_looks(self, missing: set[str], asked_at: int) -> None:
        """Count the listings in a row that lack each address."""
        # After a slow answer the next look follows at once, and says nothing new.
        is_look = abs(asked_at - self._missed_at) >= 500 * self.settings.offering_fetch_interval
        self._missed = {
            address: self._missed[address] + is_look if address in self._missed else 1 for address in missing
        }
        if is_look:
            self._missed_at = asked_at

    def _partition(self, address: str) -> int:
        return topics.address_partition(address, self._partitions)

    @property
    def _topic(self) -> str:
        return self.output_topics[0]


def _is_later(event: AddressEvent, asked_at: int) -> bool:
    """Tell whether an event came after a listing was asked for; one from the future comes from a clock that was wrong."""
    return asked_at < event.at <= now_in_milliseconds()


def _looks_to_believe(gone: int, before: int) -> int:
    """Return the number of listings that must lack the same addresses: two if half is gone, four if three quarters are."""
    shrunk = -(-before // (before - gone)) if gone < before else _MOST_LOOKS
    return max(2, min(shrunk, gone, _MOST_LOOKS))


if __name__ == "__main__":
    AddressGenerator().start()
