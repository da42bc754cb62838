"""What stands where, as the gateway would hear it from Kafka."""

from __future__ import annotations

import msgspec

from topology.records import CompressedOffering, Placement, Ring


class Placed(msgspec.Struct):
    """What the topics would say.

    Attributes:
        ring: The nodes.
        offerings: What there is, by ledger address.
        placements: What stands where.
    """

    ring: Ring
    offerings: dict[str, CompressedOffering]
    placements: list[Placement]
