"""The offerings that fetchers have emitted: those read back from the topic, and newer ones of this instance."""

from __future__ import annotations

import threading

import msgspec

from catena_core import Electron
from topology import records, topics
from topology.catalogue_link import CatalogueLink, now_in_milliseconds
from topology.clients.http import shown_url
from topology.fetching.followed import Followed
from topology.rdf.offering_graph import Description
from topology.records import Offering, OfferingHead

LONGEST_VALIDATOR = 8192


class EmittedOfferings:
    """Makes the records of offerings, and remembers what they say.

    Args:
        link: The link that emits them.
        topic: Their topic.
    """

    def __init__(self, link: CatalogueLink, topic: str) -> None:
        self._link = link
        self._partitions = link.partition_count(topic)
        self._lock = threading.RLock()
        self._newer: dict[str, OfferingHead | None] = {}
        self._table = link.table(
            topic, decode=records.read_head, accept=records.is_newer_claim, on_change=self._read_back
        )

    def catch_up(self) -> None:
        """Wait until all that other instances have emitted is known."""
        self._table.catch_up()

    def known(self, address: str) -> OfferingHead | None:
        """Return the last offering of an address, without its content."""
        with self._lock:
            if address in self._newer:
                return self._newer[address]
            head: OfferingHead | None = self._table.get(address)
            return head

    def forget(self, address: str) -> None:
        """Forget what was not sent after all."""
        with self._lock:
            self._newer.pop(address, None)

    def withdraw(self, address: str) -> None:
        """Send the tombstone of an address's offering, if it has one."""
        known = self.known(address)
        if known is not None:
            self._remember(address, None)
            self._link.send(self._tombstone(address, known.graph))

    def changes(self, address: str, followed: Followed, description: Description, etag: str) -> list[Electron]:
        """Return the records that tell of a description, none if they would tell nothing new.

        Args:
            address: The address.
            followed: Its event and ledger entry.
            description: Its description.
            etag: The entity tag of that.
        """
        known, entry = self.known(address), followed.entry
        found = OfferingHead(
            graph=description.graph,
            digest=description.digest,
            claimed_at=_claimed_at(known, description.graph),
            owner=entry.owner,
            name=entry.name,
            source=shown_url(entry.description_uri),
            etag=etag[:LONGEST_VALIDATOR],
            order=followed.event.order,
            dropped=description.dropped,
        )
        if known is not None and msgspec.structs.replace(known, etag=found.etag) == found:
            return []
        if description.dropped:
            self._link.logger.log(
                f"{shown_url(entry.description_uri)} of {address} has {description.dropped} statements with malformed terms, "
                f"which are left out: {'; '.join(description.reasons)}",
                level="warning",
            )
        if description.risks:
            self._link.logger.log(
                f"{shown_url(entry.description_uri)} of {address} has IRIs that some nodes change or drop, "
                f"so that copies of it differ: {'; '.join(description.risks)}",
                level="warning",
            )
        electrons = []
        if known is not None and known.graph != description.graph:
            electrons.append(self._tombstone(address, known.graph))
        offering = Offering(triples=description.triples, **msgspec.structs.asdict(found))
        electrons.append(Electron(address, records.to_text(offering), partition=self._partition(description.graph)))
        self._remember(address, found)
        return electrons

    def _tombstone(self, address: str, graph: str) -> Electron:
        return Electron(address, None, partition=self._partition(graph))

    def _partition(self, graph: str) -> int:
        return topics.graph_partition(graph, self._partitions)

    def _remember(self, address: str, known: OfferingHead | None) -> None:
        with self._lock:
            self._newer[address] = known

    def _read_back(self, address: str, _old: OfferingHead | None, new: OfferingHead | None) -> None:
        with self._lock:
            if address in self._newer and self._newer[address] == new:
                del self._newer[address]


def _claimed_at(known: OfferingHead | None, graph: str) -> int:
    """Return when an address claimed a graph; later than its claim to another one, though the clock may have gone back."""
    if known is not None and known.graph == graph:
        return known.claimed_at
    return max(now_in_milliseconds(), known.claimed_at + 1 if known else 0)
