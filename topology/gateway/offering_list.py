"""The list of all offerings, with the state of each and the nodes that hold it."""

from __future__ import annotations

import operator
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Literal

import msgspec

from topology import records
from topology.gateway.replicas.ranking import Replica
from topology.records import AddressEvent, AddressStatus, HashCheck, OfferingHead

_REST = 10.0


OfferingState = Literal["waiting", "placed", "stale", "failing", "gone", "conflict"]


class ListedOffering(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """An offering, or an address on the ledger of which none came.

    Attributes:
        graph: Its IRI, which is the name of its graph; left out if none is known.
        nodes: Ids of the nodes that hold a copy, sorted.
        state: ``placed`` on a node; ``waiting`` for its description or for a node; ``stale`` while its last description stands
            though its source fails; ``failing`` where no description came; ``gone`` once it was withdrawn, since its source has
            taken it down; ``conflict`` where another address stands before it in the ledger and owns its graph. Left out
            without a ledger.
        address: Its address on the ledger; left out if there is none.
        owner: The owner that the ledger names; left out if none is known.
        name: The name that the ledger gives; left out if none is known.
        source: The URL of its description; left out if none is known.
        error: The reason of the last failure; left out if there was none since the last success.
        since: When its state began (RFC 3339), as far as the fetcher decides on it; left out if the fetcher has not come to it.
        next_try: When its description is fetched again (RFC 3339); left out if that is with the next refresh.
        hash_check: Whether its description has the hash that the ledger has of it; left out if they were not compared.
        owned_by: For ``conflict``, the address that owns its graph.
        title: Its title, in English if there is one; left out if it has none, and without a ledger.
        dropped: The number of its description's statements that were left out, since a term of theirs is malformed; left out
            if there was none.
    """

    graph: str = ""
    nodes: tuple[str, ...]
    state: OfferingState | Literal[""] = ""
    address: str = ""
    owner: str = ""
    name: str = ""
    source: str = ""
    error: str = ""
    since: str = ""
    next_try: str = ""
    hash_check: HashCheck = ""
    owned_by: str = ""
    title: str = ""
    dropped: int = 0


class OfferingList:
    """The current list of offerings. May be used by many threads.

    A list that took long to make is reused for some time, so that frequent changes and requests leave time for other work.

    Args:
        version: Returns the versions of all that the list is made from, which stay the same objects until something changes.
        make: Makes the list.
        rest: For how many times the time it took to make a list that list is reused.
    """

    def __init__(
        self,
        version: Callable[[], tuple[object, ...]],
        make: Callable[[], Sequence[ListedOffering]],
        rest: float = _REST,
    ) -> None:
        self._version = version
        self._make = make
        self._rest = rest
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._listed: Sequence[ListedOffering] = ()
        self._good_until = 0.0

    def __call__(self) -> Sequence[ListedOffering]:
        """Return the offerings as they are now, or were a moment ago."""
        with self._lock:
            start = time.monotonic()
            if start < self._good_until:
                return self._listed
            version = self._version()
            if len(version) != len(self._seen) or any(map(operator.is_not, version, self._seen)):
                self._listed = self._make()
                self._seen = version
                end = time.monotonic()
                self._good_until = end + self._rest * (end - start)
            return self._listed


def list_offerings(
    claims: Mapping[str, OfferingHead],
    replicas: Mapping[str, Replica],
    statuses: Mapping[str, AddressStatus] = MappingProxyType({}),
    events: Mapping[str, AddressEvent] = MappingProxyType({}),
) -> list[ListedOffering]:
    """List the addresses on the ledger, those with an offering first, sorted by graph.

    Args:
        claims: Claims by address.
        replicas: Replicas by :func:`~topology.records.placement_key`.
        statuses: The outcome of the last fetch, by address.
        events: The last event, by address.
    """
    rivals: dict[str, dict[str, OfferingHead]] = defaultdict(dict)
    for address, claim in claims.items():
        rivals[claim.graph][address] = claim
    owners = {graph: records.first_claim(claimed) or "" for graph, claimed in rivals.items()}
    nodes: dict[str, list[str]] = defaultdict(list)
    for key, replica in replicas.items():
        if replica.digest:
            node, graph = records.split_placement_key(key)
            nodes[graph].append(node)
    addresses = claims.keys() | statuses.keys() | {one for one, event in events.items() if event.kind != "delisted"}
    found = [
        _listed(address, claims.get(address), statuses.get(address), owners, nodes)
        for address in addresses
        if address in claims or address not in events or events[address].kind != "delisted"
    ]
    return sorted(found, key=lambda one: (not one.graph, one.graph, one.address))


def _listed(
    address: str,
    claim: OfferingHead | None,
    status: AddressStatus | None,
    owners: Mapping[str, str],
    nodes: Mapping[str, list[str]],
) -> ListedOffering:
    graph = claim.graph if claim else status.graph if status else ""
    owner = owners.get(graph, "") if claim else ""
    held = tuple(sorted(nodes.get(graph, ()))) if claim and owner == address else ()
    state: OfferingState = "waiting"
    if claim is None:
        state = "waiting" if status is None or status.state == "fetched" else status.state
        state = "failing" if state == "stale" else state  # its offering is about to come or to go
    elif owner != address:
        state = "conflict"
    elif status is not None and status.state in ("stale", "failing"):
        state = "stale"
    elif held:
        state = "placed"
    named = status or claim
    return ListedOffering(
        graph=graph,
        nodes=held,
        state=state,
        address=address,
        owner=named.owner if named else "",
        name=named.name if named else "",
        source=named.source if named else "",
        error=status.error if status else "",
        since=_time(status.since) if status else "",
        next_try=_time(status.next_try) if status else "",
        hash_check=status.hash_check if status else "",
        owned_by=owner if state == "conflict" else "",
        title=claim.title if claim else "",
        dropped=claim.dropped if claim else 0,
    )


def _time(milliseconds: int) -> str:
    """Format a time as in RFC 3339; empty if there is none."""
    if not milliseconds:
        return ""
    return (
        datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
