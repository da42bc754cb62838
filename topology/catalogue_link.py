"""The base class of the six links."""

from __future__ import annotations

import time
from typing import Any

from catena_core import Link
from catena_core.errors import CatenaError, StoppedError, UsageError
from catena_core.topics import TopicSpec, check_whole, ensure
from topology import records, settings, topics
from topology.access import LinkAccess
from topology.kafka_properties import kafka_properties
from topology.records import Ring
from topology.ring import RingView

# Seconds between two looks at how much the embedded broker has dropped.
_CHECK_BROKER_EVERY = 10.0


class CatalogueLink(Link):
    """A link of the catalogue's topology, with its settings and its topics."""

    dead_letter_topic = topics.DEAD_LETTERS
    # Any number of bad descriptions must not stop the offerings of other providers.
    dead_letter_limits = None

    def __init__(self, **given: Any) -> None:
        try:
            endpoint, properties = settings.kafka_endpoint(), kafka_properties()
        except UsageError as error:  # .env cannot be read; a program that makes a link learns of it only here
            raise SystemExit(f"Error: {error}") from error
        super().__init__(**{"kafka_endpoint": endpoint, "properties": properties, "num_rpc_threads": 0, **given})
        self._settings: settings.Settings | None = None
        self._access: LinkAccess | None = None

    @property
    def settings(self) -> settings.Settings:
        """The settings, read once.

        Raises:
            UsageError: A setting is wrong.
        """
        if self._settings is None:
            self._settings = settings.load()
        return self._settings

    @property
    def access(self) -> LinkAccess:
        """The servers that the link may ask, and its credentials for them.

        Raises:
            UsageError: A setting is wrong.
        """
        if self._access is None:
            self._access = LinkAccess(self.settings, self.logger)
        return self._access

    def setup(self) -> None:
        """Read the settings, and create missing topics."""
        _ = self.settings
        self.ensure_topics(*topics.SPECS)
        if self.kafka_endpoint and check_whole(self.kafka_endpoint, topics.LASTING, self.options.properties):
            self.launch_thread(self._watch_broker)

    def ensure_topics(self, *specs: TopicSpec) -> None:
        """Create missing topics; do nothing without Kafka, as in tests."""
        if self.kafka_endpoint:
            ensure(self.kafka_endpoint, specs, self.options.properties)

    def _watch_broker(self) -> None:
        """End the link once the embedded broker has dropped a part of the truth; another broker needs no watch."""
        try:
            while check_whole(self.kafka_endpoint or "", topics.LASTING, self.options.properties):
                self.wait(_CHECK_BROKER_EVERY)
        except StoppedError:
            raise
        except CatenaError as error:
            self.suicide(str(error), exception=True)

    def follow_ring(self, on_change: Any = None) -> None:
        """Keep :attr:`ring` up to date from its topic.

        Args:
            on_change: Called with the new :class:`~topology.ring.RingView`, in the table's thread.
        """
        self._ring_view = RingView(None)

        def changed(_key: str, _old: Ring | None, new: Ring | None) -> None:
            self._ring_view = RingView(new)
            self.access.credentials.follow(self._ring_view.nodes.values())
            if on_change is not None:
                on_change(self._ring_view)

        self.table(
            topics.RING,
            decode=lambda _key, value: records.from_text(value, Ring),
            accept=records.is_newer_ring,
            on_change=changed,
        )

    @property
    def ring(self) -> RingView:
        """The last ring that was read."""
        return self._ring_view


def now_in_milliseconds() -> int:
    """Return the time in milliseconds since the Unix epoch, as in records."""
    return int(time.time() * 1000)
