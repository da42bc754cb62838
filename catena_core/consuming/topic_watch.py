"""The topics that a link's patterns match, and those that it misses, followed while it runs.

Kafka's client says once that a topic does not exist, or that no broker answers, and never that this is over: it is looked up
here for the link's health. Patterns are matched by Python's ``re``: those of Kafka's client, and of brokers, follow other
rules, and would match the topic of dead letters that the link itself writes.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.kafka.client import REFRESH, client_properties
from catena_core.monitoring.logs import LinkLogger

# Seconds for one question to the brokers, and after which it is asked again if there was no answer.
_TIMEOUT, _AGAIN_AFTER = 5.0, 1.0

# Seconds for which brokers may be silent without a problem: they restart now and then.
_SILENT_AFTER = 10.0


class TopicWatch:
    """Follows the topics of a cluster, in a thread of its own from the first pattern, or the first trouble, on.

    Args:
        endpoint: Kafka's ``host:port``.
        properties: Further librdkafka properties; ``topic.metadata.refresh.interval.ms`` says how often to look.
        left_out: Topics that no pattern matches: those that the link writes itself, and would read without end.
        logger: The link's log, which names patterns that match nothing.
    """

    def __init__(
        self, endpoint: str, properties: Mapping[str, str], left_out: frozenset[str], logger: LinkLogger
    ) -> None:
        # The consumer reports trouble with brokers.
        self._settings = {**client_properties(endpoint, logger, properties), "error_cb": lambda _error: None}
        self._left_out = left_out
        self._logger = logger
        self._topics: frozenset[str] | None = None
        self._interval = max(0.1, float(self._settings[REFRESH]) / 1000)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()
        self._has_patterns = False
        self._missing: set[str] = set()
        self._silent_since: float | None = None
        self._needed = threading.Event()

    def resolve(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Give the topics to subscribe to, by name.

        Args:
            wanted: Names, and regular expressions that begin with ``^``.
        """
        if not any(name.startswith("^") for name in wanted):
            return tuple(wanted)
        self._has_patterns = True
        self._start()
        found: dict[str, None] = {}
        for name in wanted:
            found.update(dict.fromkeys(self._matches(name) if name.startswith("^") else [name]))
        return tuple(found)

    def misses(self, topic: str) -> None:
        """Note that Kafka's client knows no such topic, and look for it."""
        self._missing.add(topic)
        self._look()

    def has(self, topics: Iterable[str]) -> None:
        """Note that these topics are there, or are not read any more."""
        self._missing.difference_update(topics)

    def doubts(self) -> None:
        """Note that Kafka's client reaches no broker, and look whether one answers."""
        self._silent_since = self._silent_since or time.monotonic()
        self._look()

    def problems(self) -> dict[str, str]:
        """Give the problems for the link's health."""
        found = {
            f"input {topic}": f"the topic {topic} does not exist; make it, or name another with -i TOPIC"
            for topic in sorted(self._missing.copy())
        }
        since = self._silent_since
        if since is not None and time.monotonic() - since > _SILENT_AFTER:
            found["brokers"] = f"no Kafka broker has answered for {time.monotonic() - since:.0f} s"
        return found

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._needed.set()

    def _look(self) -> None:
        self._needed.set()
        self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="topics", daemon=True)
            self._thread.start()

    def _matches(self, pattern: str) -> list[str]:
        if self._topics is None:
            return []
        internal = pattern.startswith("^__")
        matching = sorted(
            topic for topic in self._topics if re.match(pattern, topic) and (internal or not topic.startswith("__"))
        )
        names = [topic for topic in matching if topic not in self._left_out]
        for topic in self._left_out.intersection(matching) - self._told:
            self._told.add(topic)
            self._logger.log(f"{pattern} leaves out {topic}, which the link writes; to read it, name it")
        if not names and pattern not in self._told:
            self._told.add(pattern)
            self._logger.log(f"no topic matches {pattern} yet; the link looks again", level="warning")
        return names

    def _follow(self) -> None:
        client = AdminClient(self._settings)
        while not self._stop.is_set():
            self._needed.clear()
            try:
                self._topics = frozenset(client.list_topics(timeout=_TIMEOUT).topics)
                self._silent_since = None
                self._missing.difference_update(self._topics)
            except KafkaException:
                self._silent_since = self._silent_since or time.monotonic()
            if self._topics is None or self._silent_since is not None:
                self._stop.wait(_AGAIN_AFTER)
            else:
                self._needed.wait(self._interval if self._has_patterns or self._missing else None)
