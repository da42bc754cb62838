"""The links on Kafka as their consumer groups show them: instances, and lag."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from catena_core.errors import CatenaError
from catena_core.kafka.client import client_properties
from catena_core.kafka.watermarks import watermarks
from catena_core.monitoring.logs import LinkLogger
from catena_core.topics import is_embedded
from topology import topics

_TIMEOUT = 15.0
# Other links keep their place by replaying their topics, and commit nothing.
_COMMITTING_GROUP = "Writer"
# Seconds after a question in which looks go on.
_WATCHED = 30.0


class LinkStatus(msgspec.Struct):
    """The instances of one link.

    Attributes:
        group: Their consumer group, which by default is the link's name.
        instances: Their number; ``None`` where the broker cannot tell.
        state: The group's state, as Kafka names it, in small letters.
        lag: The messages that they have not finished; ``None`` for a link that commits no offsets.
    """

    group: str
    instances: int | None
    state: str
    lag: int | None


class ConsumerGroups:
    """Looks at the links on Kafka from time to time, while clients read the overview.

    Args:
        endpoint: Kafka's ``host:port``; ``None`` where a test gives the topics.
        logger: Logs once that Kafka does not tell.
        properties: Further librdkafka properties.
    """

    def __init__(self, endpoint: str | None, logger: LinkLogger, properties: Mapping[str, str]) -> None:
        self._settings = client_properties(endpoint, logger, properties) if endpoint else {}
        self._logger = logger
        self._links: Sequence[LinkStatus] = ()
        self._asked_at = float("-inf")
        self._has_warned = False

    def links(self) -> Sequence[LinkStatus]:
        """Return what the last look has found; none before the first one, and where Kafka does not tell."""
        self._asked_at = time.monotonic()
        return self._links

    def look(self) -> None:
        """Look again, if :meth:`links` was called lately."""
        if not self._settings or time.monotonic() - self._asked_at > _WATCHED:
            return
        try:
            self._links = look(self._settings, AdminClient(self._settings).list_topics(timeout=_TIMEOUT))
            self._has_warned = False
        except (KafkaException, CatenaError) as error:
            self._links = ()
            if not self._has_warned:
                self._logger.log(f"Kafka does not tell of the links: {error}", level="warning")
            self._has_warned = True


def look(settings: Mapping[str, Any], metadata: ClusterMetadata) -> list[LinkStatus]:
    """Return the links that have instances or lag.

    The embedded broker cannot list groups, but tells the offsets of one. Both questions take the older of librdkafka's ways to
    ask: of the newer ones, an answer that comes after its time-out ends the process
    (https://github.com/confluentinc/librdkafka/issues/4605).

    Args:
        settings: The properties of a client of Kafka.
        metadata: The topics.

    Raises:
        KafkaException: Kafka does not tell.
        CatenaError: The end of a topic cannot be looked up.
    """
    embedded = is_embedded(metadata)
    partitions = [
        TopicPartition(name, number)
        for name, topic in metadata.topics.items()
        if name.startswith(topics.WRITES) or not embedded
        for number in topic.partitions
    ]
    if embedded:
        return [LinkStatus(_COMMITTING_GROUP, None, "", _lag(settings, _COMMITTING_GROUP, partitions))]
    found = []
    for group in sorted(AdminClient(settings).list_groups(timeout=_TIMEOUT), key=lambda group: group.id):
        if group.error is not None:
            raise KafkaException(group.error)
        if group.protocol_type in ("", "consumer"):
            lag = _lag(settings, group.id, partitions)
            if group.members or lag is not None:
                found.append(LinkStatus(group.id, len(group.members), group.state.lower(), lag))
    return found


def _lag(settings: Mapping[str, Any], group: str, partitions: list[TopicPartition]) -> int | None:
    """Return the messages that a group has not committed; ``None`` if it has committed none at all."""
    consumer = Consumer({**settings, "group.id": group, "enable.auto.commit": False})  # it does not join
    try:
        committed = [place for place in consumer.committed(partitions, _TIMEOUT) if place.offset >= 0]
        if not committed:
            return None
        ends = [watermarks(consumer, place.topic, place.partition, _TIMEOUT)[1] for place in committed]
        return sum(max(end - int(place.offset), 0) for end, place in zip(ends, committed, strict=True))
    finally:
        consumer.close()
