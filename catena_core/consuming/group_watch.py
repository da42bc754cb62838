"""Partitions of a link's topics that no member of its group has.

The member that shares the partitions out asks one broker for them, the group's coordinator. That broker may not know a new
topic yet, of which the member itself has heard from another one. The member then gives the topic to no member, and never
looks again: for Kafka's client nothing has changed, since it has known the topic all along
(``rd_kafka_cgrp_metadata_update_check`` of librdkafka 2.16; seen on three brokers). When any member joins once more, the
partitions are shared out again.
"""

from __future__ import annotations

import contextlib
import math
import random
import struct
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.kafka.partition import Partition

# Seconds for one question to the brokers.
_TIMEOUT = 5.0


class GroupWatch:
    """Looks for such partitions a while after each rebalance. One thread calls it, and never waits.

    A member that has partitions of each of its topics asks nothing: its group knows them all.

    Args:
        group: The consumer group.
        properties: The librdkafka properties of its client, which lives only for a question.
        interval: Seconds within which Kafka's clients hear of new partitions. It looks after that time, and once more after it
            has found some.

    Attributes:
        due: When to look, by the monotonic clock.
        unassigned: The partitions that the last two looks have found; other threads may read them.
    """

    def __init__(self, group: str, properties: Mapping[str, Any], interval: float) -> None:
        self.unassigned: frozenset[Partition] = frozenset()
        self._group = group
        self._properties = {**properties, "error_cb": lambda _error: None}  # other clients of the link report those
        self._interval = interval
        self.due = math.inf
        self._question: _Question | None = None
        self._seen: frozenset[Partition] = frozenset()

    def changed(self) -> None:
        """Note that the link has subscribed to other topics, or that partitions were shared out."""
        self.due = self._later()

    def look(self, topics: Collection[str], owned: Collection[Partition]) -> bool:
        """Look, once it is time to; return whether this member is to join once more.

        Args:
            topics: The topics that it has subscribed to.
            owned: The partitions that it has.
        """
        if self._question is None:
            if {topic for topic, _ in owned} >= set(topics):
                self.due, self._seen, self.unassigned = math.inf, frozenset(), frozenset()
                return False
            self._question = _Question(self._group, topics, self._properties)
            return False
        if not self._question.is_answered:
            return False
        found = self._question.answer()
        self._question = None
        if found is None:
            self.due = self._later()
            return False
        self.unassigned = found & self._seen
        self._seen = found - self.unassigned
        self.due = self._later() if found else math.inf
        return bool(self.unassigned)

    def _later(self) -> float:
        # Members look at different times, so that one joins once more, and the others find all well.
        return time.monotonic() + self._interval * random.uniform(1, 2)


class _Question:
    """A question to the brokers, in a thread of its own.

    It takes the older of librdkafka's two ways to ask about groups. Of the newer one, ``describe_consumer_groups``, an answer
    that comes after its time-out ends the process (https://github.com/confluentinc/librdkafka/issues/4605).
    """

    def __init__(self, group: str, topics: Collection[str], properties: Mapping[str, Any]) -> None:
        self._found: frozenset[Partition] | None = None
        self._thread = threading.Thread(target=self._ask, args=(group, topics, properties), daemon=True)
        self._thread.start()

    @property
    def is_answered(self) -> bool:
        return not self._thread.is_alive()

    def answer(self) -> frozenset[Partition] | None:
        """Return the partitions that no member has; ``None`` if that cannot be told now."""
        return self._found

    def _ask(self, group: str, topics: Collection[str], properties: Mapping[str, Any]) -> None:
        with contextlib.suppress(KafkaException, struct.error, UnicodeDecodeError):
            client = AdminClient(properties)
            there = client.list_topics(timeout=_TIMEOUT).topics
            wanted = {(topic, number) for topic in topics if topic in there for number in there[topic].partitions}
            for found in client.list_groups(group, timeout=_TIMEOUT):
                if found.state == "Stable":
                    self._found = frozenset(wanted.difference(*(_read(one.assignment) for one in found.members)))


def _read(assignment: bytes) -> Iterator[Partition]:
    """Yield the partitions in an assignment, as the consumers' protocol writes it: its version, then topics and partitions.

    Raises:
        struct.error: It breaks off.
        UnicodeDecodeError: A topic's name is not UTF-8.
    """
    if not assignment:
        return
    _, topics = struct.unpack_from(">hi", assignment)
    place = 6
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", assignment, place)
        (count,) = struct.unpack_from(">i", assignment, place + 2 + length)
        numbers = struct.unpack_from(f">{count}i", assignment, place + 6 + length)
        topic = assignment[place + 2 : place + 2 + length].decode()
        place += 6 + length + 4 * count
        yield from ((topic, number) for number in numbers)
