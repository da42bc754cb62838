"""The electron: the message that travels between links."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Electron(msgspec.Struct):
    """One message on its way through a topology.

    An electron that was received may be changed and returned: it then goes to the first output topic, like a new one.

    Attributes:
        key: Decides the partition, so electrons of one key stay in order; ``None`` spreads them evenly.
        value: The content: any value that :mod:`catena_core.wire.codec` can carry. ``None`` on a compacted topic is a
            tombstone, which removes the key.
        topic: The topic to send it to; ``None``: the link's first output topic.
        previous_topic: The topic that it was read from; ``None`` for a new one.
        timestamp: Milliseconds since the Unix epoch, as the broker recorded them; ``None`` lets the broker choose.
        partition: The partition it must go to, or, for one received, came from; ``None`` lets the key decide.
        offset: For one received, its offset in that partition.
        headers: Further headers as text, beside those that the library itself writes.
    """

    key: Any = None
    value: Any = None
    topic: str | None = None
    previous_topic: str | None = None
    timestamp: int | None = None
    partition: int | None = None
    offset: int | None = None
    headers: Mapping[str, str] = NO_HEADERS

    def replace(self, **changes: Any) -> Electron:
        """Copy it, with other values for some of its attributes."""
        return msgspec.structs.replace(self, **changes)
