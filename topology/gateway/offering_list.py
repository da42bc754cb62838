"""The list of all offerings, with the nodes that hold each."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.source_selection import Snapshot
from topology import records
from topology.gateway.replicas.ranking import Replica
from topology.records import OfferingHead

_REST = 10.0


class ListedOffering(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An offering.

    Attributes:
        graph: Its IRI, which is the name of its graph.
        nodes: Ids of the nodes that hold a copy, sorted.
        address: Its address on the ledger; left out if there is none.
        owner: The owner that the ledger names; left out if none is known.
        name: The name that the ledger gives; left out if none is known.
    """

    graph: Annotated[str, Meta(extra_json_schema={"format": "iri"})]
    nodes: tuple[str, ...]
    address: str = ""
    owner: str = ""
    name: str = ""


class OfferingList:
    """The current list of offerings. May be used by many threads.

    A list that took long to make is reused for some time, so that frequent changes and requests leave time for other work.

    Args:
        snapshot: Returns the current snapshot, which stays the same object until something changes.
        make: Makes the list.
        rest: For how many times the time it took to make a list that list is reused.
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], make: Callable[[], Sequence[ListedOffering]], rest: float = _REST
    ) -> None:
        self._snapshot = snapshot
        self._make = make
        self._rest = rest
        self._lock = threading.Lock()
        self._seen: Snapshot | None = None
        self._listed: Sequence[ListedOffering] = ()
        self._good_until = 0.0

    def __call__(self) -> Sequence[ListedOffering]:
        """Return the offerings as they are now, or were a moment ago."""
        with self._lock:
            start = time.monotonic()
            if start < self._good_until:
                return self._listed
            snapshot = self._snapshot()
            if snapshot is not self._seen:
                self._listed = self._make()
                self._seen = snapshot
                end = time.monotonic()
                self._good_until = end + self._rest * (end - start)
            return self._listed


def list_offerings(claims: Mapping[str, OfferingHead], replicas: Mapping[str, Replica]) -> list[ListedOffering]:
    """List the offerings on the ledger; of several claims to one graph, the first one wins.

    Args:
        claims: Claims by address.
        replicas: Replicas by :func:`~topology.records.placement_key`.
    """
    winning: dict[str, tuple[int, str]] = {}
    for address, claim in claims.items():
        rank = (claim.claimed_at, address)
        winning[claim.graph] = min(rank, winning.get(claim.graph, rank))
    nodes: dict[str, list[str]] = defaultdict(list)
    for key, replica in replicas.items():
        if replica.digest:
            node, graph = records.split_placement_key(key)
            nodes[graph].append(node)
    return [
        ListedOffering(graph, tuple(sorted(nodes.get(graph, ()))), address, claims[address].owner, claims[address].name)
        for graph, (_, address) in sorted(winning.items())
    ]
