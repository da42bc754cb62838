"""Topics of the benchmark: made, watched and deleted."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

PARTITIONS = 4

_LEADER_TIMEOUT = 20.0  # seconds


class Topics:
    """Topics of one Kafka.

    Args:
        endpoint: Its ``host:port``.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2})

    def make(self, name: str, **config: str) -> str:
        """Make a topic of four partitions and return its name.

        Args:
            name: The name.
            config: The topic's configuration, with ``_`` in place of ``.``.
        """
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=settings)])[name].result(30)
        self._await_leaders(name)
        self.length(name)  # the leader has taken up its office
        return name

    def make_target(self, name: str) -> str:
        """Make a topic whose messages carry the time when the broker appended them, and return its name."""
        return self.make(name, message_timestamp_type="LogAppendTime")

    def delete(self, name: str) -> None:
        """Delete a topic, so that the disk does not fill."""
        self._admin.delete_topics([name])[name].result(30)

    def length(self, name: str) -> int:
        """How many offsets a topic has used: its messages, and the markers of transactions."""
        asked = {TopicPartition(name, number): OffsetSpec.latest() for number in range(PARTITIONS)}
        deadline = time.monotonic() + _LEADER_TIMEOUT
        while True:
            try:
                return sum(future.result().offset for future in self._admin.list_offsets(asked).values())
            except KafkaException:  # a busy broker may lose, or not yet have, the lead of its partitions
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                self._await_leaders(name)

    def _await_leaders(self, name: str) -> None:
        """Wait until every partition has a leader: a client that asks too early remembers for long that there is none."""
        deadline = time.monotonic() + _LEADER_TIMEOUT
        while True:
            partitions = self._admin.list_topics(name, timeout=10).topics[name].partitions
            if len(partitions) == PARTITIONS and all(one.leader >= 0 for one in partitions.values()):
                return
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"{name} got no leader"))
            time.sleep(0.05)
