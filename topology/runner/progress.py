"""The progress of the topology, read from its topics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table
from topology import records, topics
from topology.records import AddressEvent, Placement, Ring
from topology.ring import RingView


@dataclass(frozen=True)
class Progress:
    """Counts at one moment.

    Attributes:
        listed: Offerings on the ledger.
        fetched: Offerings whose description was read.
        placed: Offerings whose current content is on every node that should hold it.
        epoch: The ring's epoch.
        replicas: How many nodes hold each offering.
        on_node: Graphs on each node, by its id, in the order of the ring.
        states: Each node's state, by its id.
    """

    listed: int = 0
    fetched: int = 0
    placed: int = 0
    epoch: int = 0
    replicas: int = 0
    on_node: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True if every listed offering is placed."""
        return 0 < self.listed == self.fetched == self.placed

    def line(self) -> str:
        """Format the counts on one line."""
        nodes = ", ".join(
            f"{node} {count}" + ("" if self.states[node] == "up" else f" ({self.states[node]})")
            for node, count in self.on_node.items()
        )
        return f"listed {self.listed}, fetched {self.fetched}, placed {self.placed}; on nodes: {nodes or 'none yet'}"


class ProgressReader:
    """Follows the topics and counts offerings.

    Args:
        endpoint: Kafka's ``host:port``.
        properties: Further librdkafka properties.
    """

    def __init__(self, endpoint: str, properties: dict[str, str]) -> None:
        logger = LinkLogger("progress")

        def table(topic: str, decode: Any, **content: Any) -> Table[Any]:
            return Table(endpoint, topic, logger, properties, decode=decode, **content)

        self._addresses = table(topics.ADDRESSES, lambda _, value: records.from_text(value, AddressEvent).kind)
        self._offerings = table(topics.OFFERINGS, records.read_head, accept=records.is_newer_claim)
        self._placements = table(topics.PLACEMENTS, _digest)
        self._view = RingView(None)
        self._ring = table(
            topics.RING,
            lambda _, value: records.from_text(value, Ring),
            accept=records.is_newer_ring,
        )

    def read(self) -> Progress:
        """Count the offerings now."""
        ring = self._ring.get(records.RING_KEY)
        if self._view.epoch != (ring.epoch if ring else 0):
            self._view = RingView(ring)
        view = self._view
        placements = self._placements.copy()
        offerings = self._offerings.copy()
        wanted = len(view.owners(""))
        placed = 0
        for offering in offerings.values():
            owners = view.owners(offering.graph)
            placed += (
                0
                < wanted
                == sum(
                    placements.get(records.placement_key(node, offering.graph)) == offering.digest for node in owners
                )
            )
        count = Counter(records.split_placement_key(key)[0] for key, digest in placements.items() if digest)
        return Progress(
            listed=sum(kind != "delisted" for kind in self._addresses.copy().values()),
            fetched=len(offerings),
            placed=placed,
            epoch=view.epoch,
            replicas=wanted,
            on_node={node: count[node] for node in view.nodes},
            states={node.id: node.condition for node in view.nodes.values()},
        )

    def close(self) -> None:
        """Stop following the topics."""
        for table in (self._addresses, self._offerings, self._placements, self._ring):
            table.close()


def _digest(_key: str, value: Any) -> str:
    return records.from_text(value, Placement).digest
