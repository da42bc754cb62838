"""The properties that all clients of Kafka in a link share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import UsageError
from catena_core.kafka.broker_errors import explained
from catena_core.kafka.properties import refused
from catena_core.monitoring.logs import LinkLogger

_SAME_ERROR_AGAIN_AFTER = 30.0

# Milliseconds between two looks of a client at the topics that there are.
REFRESH = "topic.metadata.refresh.interval.ms"

# With the group protocol of KIP-848 the broker decides these.
_LEFT_TO_THE_BROKER = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")


class ErrorThrottle:
    """Passes each kind of Kafka error once in a while: librdkafka reports every lost connection of each of its threads."""

    def __init__(self) -> None:
        self._passed_at: dict[int, float] = {}

    def passes(self, error: Any) -> bool:
        """Return True unless an error of this kind passed a moment ago."""
        now = time.monotonic()
        passes = now - self._passed_at.get(error.code(), -_SAME_ERROR_AGAIN_AFTER) >= _SAME_ERROR_AGAIN_AFTER
        if passes:
            self._passed_at[error.code()] = now
        return passes


def error_log(logger: LinkLogger) -> Callable[[Any], None]:
    """Return a function that logs the errors of clients, each kind once in a while."""
    throttle = ErrorThrottle()

    def log(error: Any) -> None:
        if throttle.passes(error):
            logger.log(f"Kafka: {explained(error.str())}", level="error" if error.fatal() else "warning")

    return log


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
        "error_cb": error_log(logger),
        "reconnect.backoff.max.ms": 2000,
        REFRESH: 30_000,
        **(properties or {}),
    }


def end_client(client: object) -> None:
    """Give up a client of which the caller keeps no other reference, in a thread: its end may wait for an answer."""
    threading.Thread(target=lambda _client: None, args=(client,), name="end of a client", daemon=True).start()


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse properties that librdkafka does not know, or whose values it does not take, before any client needs them.

    Args:
        properties: The properties.

    Raises:
        UsageError: One of them is wrong.
    """
    try:
        AdminClient({"log_level": 0, **properties})
    except (KafkaException, TypeError, ValueError) as error:
        raise UsageError(f"Kafka's client does not take these properties: {refused(error)}") from error


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
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "range" if replay else "cooperative-sticky",
        **client_properties(endpoint, logger, properties),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
    }
    if instance_id is not None:
        settings["group.instance.id"] = instance_id
    if settings.get("group.protocol") == "consumer":  # of KIP-848
        for name in _LEFT_TO_THE_BROKER:
            settings.pop(name, None)
        settings.setdefault("group.remote.assignor", "range" if replay else "uniform")
    return settings
