"""The properties that all clients of Kafka in a link share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from catena_core.monitoring.logs import LinkLogger

_SAME_ERROR_AGAIN_AFTER = 30.0

# With the group protocol of KIP-848 the broker decides these.
_LEFT_TO_THE_BROKER = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")


class ErrorLog:
    """Logs errors of Kafka, each kind once in a while: librdkafka would log every lost connection of each of its threads.

    Args:
        logger: The link's log.
        prefix: The beginning of each line.
    """

    def __init__(self, logger: LinkLogger, prefix: str) -> None:
        self._logger = logger
        self._prefix = prefix
        self._logged_at: dict[int, float] = {}

    def log(self, error: Any) -> None:
        """Log an error, unless its kind was logged a moment ago."""
        now = time.monotonic()
        if now - self._logged_at.get(error.code(), -_SAME_ERROR_AGAIN_AFTER) >= _SAME_ERROR_AGAIN_AFTER:
            self._logged_at[error.code()] = now
            self._logger.log(f"{self._prefix}: {error.str()}", level="error" if error.fatal() else "warning")


def client_properties(endpoint: str, logger: LinkLogger, properties: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Make the librdkafka properties of consumers and producers alike.

    Args:
        endpoint: Kafka's ``host:port``.
        logger: The log of trouble with brokers.
        properties: Further properties, which win.
    """
    return {
        "bootstrap.servers": endpoint,
        "log_level": 2,
        "error_cb": ErrorLog(logger, "Kafka").log,
        "reconnect.backoff.max.ms": 2000,
        **(properties or {}),
    }


def consumer_properties(
    endpoint: str,
    group: str,
    instance_id: str | None,
    replay: bool,
    logger: LinkLogger,
    properties: Mapping[str, str],
) -> dict[str, Any]:
    """Make the librdkafka properties of a link's consumer.

    Args:
        endpoint: Kafka's ``host:port``.
        group: The consumer group.
        instance_id: The name of a static member (KIP-345); ``None``: a dynamic one.
        replay: Whether partitions are read from their first offset, and assigned by range, so that topics with equally many
            partitions are shared out alike.
        logger: The log of trouble with brokers.
        properties: Further properties, which win where the link does not depend on its own.
    """
    settings: dict[str, Any] = {
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "queued.max.messages.kbytes": 16 * 1024,
        "topic.metadata.refresh.interval.ms": 30_000,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "range" if replay else "cooperative-sticky",
        **client_properties(endpoint, logger, properties),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": replay,
    }
    if instance_id is not None:
        settings["group.instance.id"] = instance_id
    if settings.get("group.protocol") == "consumer":  # of KIP-848
        for name in _LEFT_TO_THE_BROKER:
            settings.pop(name, None)
        settings.setdefault("group.remote.assignor", "range" if replay else "uniform")
    return settings
