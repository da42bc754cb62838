"""The start of a gateway whose view is on disk: its processor time for each topic and for the first snapshot.

    python -m tests.bench.restart --offerings 20000

No broker takes part: the records come from memory, as they come from the topics otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from catena_core.table import TableContent
from catena_core.wire import codec
from tests.bench.federation.offerings import offerings
from tests.bench.federation.servers import COUNT, REPLICAS, VIRTUAL_NODES
from topology import records
from topology.gateway.replicas.contents import OfferingContents
from topology.gateway.replicas.ranking import decode_replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import AddressEvent, AddressStatus, Node, Offering, Placement, Ring
from topology.ring import RingView

_DIFFERENT = 500
_TIME = 1_700_000_000_000
_TARGET = 100_000

Rows = Sequence[tuple[str, bytes]]


class _Topics:
    """The rows of the topics; the offerings are ever the same few under other names."""

    def __init__(self, count: int, ring: RingView) -> None:
        made = offerings(min(count, _DIFFERENT))
        self.digests: dict[str, str] = {}
        self.offerings: list[tuple[str, bytes]] = []
        self.placements: list[tuple[str, bytes]] = []
        self.statuses: list[tuple[str, bytes]] = []
        self.events: list[tuple[str, bytes]] = []
        for number in range(count):
            offering, described = made[number % len(made)]
            graph, address, digest = f"{described.graph}-{number}", f"{offering.address}{number}", described.digest
            triples = described.triples.replace(described.graph, graph)
            self.digests[graph] = digest
            offered = Offering(
                graph=graph,
                digest=digest,
                claimed_at=_TIME,
                owner=offering.owner,
                name=offering.name,
                source=offering.iri,
                triples=triples,
            )
            status = AddressStatus(
                state="fetched",
                event_at=_TIME,
                since=_TIME,
                graph=graph,
                source=offering.iri,
                owner=offering.owner,
                name=offering.name,
                content=digest,
                judged=digest,
            )
            self.offerings.append(_row(address, offered))
            self.statuses.append(_row(address, status))
            self.events.append(_row(address, AddressEvent("listed", _TIME, order=number + 1)))
            self.placements += [
                _row(records.placement_key(node, graph), Placement(node, graph, address, 1, 1, 0, digest))
                for node in ring.owners(graph)
            ]


def _row(key: str, record: msgspec.Struct) -> tuple[str, bytes]:
    return key, records.to_text(record).encode()


def _read(name: str, rows: Rows, count: int, **content: Any) -> TableContent[Any]:
    table: TableContent[Any] = TableContent(**content)

    def read() -> None:
        for key, value in rows:
            table.apply(key, codec.decode(value, None))

    _time(name, count, read)
    return table


def _time(name: str, count: int, work: Callable[[], object]) -> None:
    began = time.process_time()
    work()
    seconds = time.process_time() - began
    click.echo(f"{name:34} {1e6 * seconds / count:8.1f} {_TARGET * seconds / count:10.2f}")


@click.command()
@click.option("--offerings", "count", type=click.IntRange(1), default=20000, show_default=True)
def main(count: int) -> None:
    """Measure what a start costs for each offering."""
    ring = RingView(
        Ring(1, tuple(Node(f"node{number}", f"http://{number}") for number in range(COUNT)), VIRTUAL_NODES, REPLICAS)
    )
    topics = _Topics(count, ring)
    ring = RingView(Ring(1, tuple(ring.nodes.values()), VIRTUAL_NODES, REPLICAS))  # which has computed no owners
    click.echo(f"{'':34} {'µs each':>8} {f's, {_TARGET}':>10}")
    for name, present in (("offerings, nothing on disk", {}), ("offerings, all on disk", topics.digests)):
        contents = OfferingContents(lambda decode: {})
        contents.begin(present)
        selector = ReplicaSelector(lambda: ring, lambda: {}, contents.content)
        selector.claims = _read(
            name,
            topics.offerings,
            count,
            decode=contents.decode,
            accept=records.is_newer_claim,
            on_change=selector.claim_changed,
        )
    selector.replicas = _read(
        f"placements, {REPLICAS} each",
        topics.placements,
        count,
        decode=decode_replica,
        on_change=selector.replica_changed,
    )
    _read("statuses", topics.statuses, count, decode=lambda _, value: records.from_text(value, AddressStatus))
    _read("addresses", topics.events, count, decode=lambda _, value: records.from_text(value, AddressEvent))
    _time("first snapshot", count, selector.snapshot)


if __name__ == "__main__":
    main()
