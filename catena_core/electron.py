"""The electron: what travels between links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Electron:
    """One message on its way through a topology.

    Attributes:
        key: Decides the partition, so electrons of one key stay in order; ``None`` spreads them evenly.
        value: The content: any value that :mod:`catena_core.codec` can carry. ``None`` on a compacted topic is a
            tombstone, which removes the key.
        topic: Where the electron goes, or, for one received, where it came from. ``None``: the link's first output topic.
        previous_topic: The topic of the electron from which this one was made, set by the library.
        timestamp: Milliseconds since the Unix epoch, as the broker recorded them; ``None`` lets the broker choose.
        partition: The partition it came from, or must go to; ``None`` lets the key decide.
        offset: Its offset in that partition, once it has one.
        headers: Further headers as text, beside those that the library itself writes.
    """

    key: Any = None
    value: Any = None
    topic: str | None = None
    previous_topic: str | None = None
    timestamp: int | None = None
    partition: int | None = None
    offset: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
