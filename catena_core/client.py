"""What every client of Kafka in a link has in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from catena_core.logs import LinkLogger

_SAME_ERROR_AGAIN_AFTER = 30.0


def client_properties(endpoint: str, logger: LinkLogger, properties: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The librdkafka properties of consumers and producers alike.

    librdkafka logs every lost connection of every thread of its own; here each kind of trouble is told once in a while, in
    the link's own log.

    Args:
        endpoint: Kafka's ``host:port``.
        logger: Where trouble with brokers is told.
        properties: Further properties, which win.
    """
    told: dict[int, float] = {}

    def on_error(error: Any) -> None:
        now = time.monotonic()
        if now - told.get(error.code(), -_SAME_ERROR_AGAIN_AFTER) >= _SAME_ERROR_AGAIN_AFTER:
            told[error.code()] = now
            logger.log(f"Kafka: {error.str()}", level="error" if error.fatal() else "warning")

    return {
        "bootstrap.servers": endpoint,
        "log_level": 2,
        "error_cb": on_error,
        "reconnect.backoff.max.ms": 2000,
        **(properties or {}),
    }
