"""What the six links have in common."""

from __future__ import annotations

import time
from typing import Any

from catena_core import Link
from catena_core.topics import TopicSpec, ensure
from topology import records, settings, topics
from topology.records import Ring
from topology.ring import RingView


class CatalogueLink(Link):
    """A link of the catalogue's topology: it knows the settings, and makes sure that the topics exist."""

    dead_letter_topic = topics.DEAD_LETTERS
    # However many providers serve nonsense, the others' offerings go on.
    dead_letter_limits = None

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"kafka_endpoint": settings.kafka_endpoint(), "num_rpc_threads": 0, **given})
        self._settings: settings.Settings | None = None

    @property
    def settings(self) -> settings.Settings:
        """The settings, read once.

        Raises:
            UsageError: They cannot be used.
        """
        if self._settings is None:
            self._settings = settings.load()
        return self._settings

    def setup(self) -> None:
        """Read the settings and make the topics that do not exist yet."""
        _ = self.settings
        self.ensure_topics(*topics.SPECS)

    def ensure_topics(self, *specs: TopicSpec) -> None:
        """Make topics that do not exist yet; without Kafka, as in tests, there is nothing to make."""
        if self.kafka_endpoint:
            ensure(self.kafka_endpoint, specs, self.options.properties)

    def follow_ring(self, on_change: Any = None) -> None:
        """Keep :attr:`ring` fresh from its topic.

        Args:
            on_change: Called with the new :class:`~topology.ring.RingView`, in the table's thread.
        """
        self._ring_view = RingView(None)

        def changed(_key: str, _old: Ring | None, new: Ring | None) -> None:
            self._ring_view = RingView(new)
            if on_change is not None:
                on_change(self._ring_view)

        self.table(
            topics.RING,
            decode=lambda _key, value: records.from_text(value, Ring),
            # Two monitors may both believe to be the one; what the topic holds first for an epoch is what counts.
            accept=lambda _key, old, new: old is None or new.epoch > old.epoch,
            on_change=changed,
        )

    @property
    def ring(self) -> RingView:
        """The ring as it was last read."""
        return self._ring_view


def now_in_milliseconds() -> int:
    """The time as records carry it: milliseconds since the Unix epoch."""
    return int(time.time() * 1000)
