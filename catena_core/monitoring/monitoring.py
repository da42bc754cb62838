"""The metrics, the health and the watchdog of a link, and the port that serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry

from catena_core.kafka.partition import Partition
from catena_core.monitoring.health import Health, HealthServer
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.monitoring.watchdog import Watchdog, Watched
from catena_core.options import LinkOptions


class Monitoring:
    """The metrics and the health of one link.

    Args:
        link: The name of its class.
        uid: Its own name.
        group: Its consumer group.
        options: Its options: the port, and how long an electron may take.
        logger: The link's log.
        registry: The registry of its metrics.

    Raises:
        UsageError: The port cannot be had.
    """

    def __init__(
        self, link: str, uid: str, group: str, options: LinkOptions, logger: LinkLogger, registry: CollectorRegistry
    ) -> None:
        self.metrics = Metrics(registry)
        self._partitions: Callable[[], Iterable[Partition]] = tuple
        self.health = Health(link, uid, group, lambda: self._partitions())
        self._watchdog = Watchdog(self.health, logger, timeout=options.consumer_timeout)
        self._server: HealthServer | None = None
        if options.metrics_port is not None:
            self._server = HealthServer(options.metrics_port, self.health, self.metrics.registry, options.host)
            logger.log(f"metrics and health on {options.host}:{self._server.port}")

    @property
    def port(self) -> int | None:
        """The port that serves them, if one does."""
        return self._server.port if self._server is not None else None

    def watch(self, consumer: Watched) -> None:
        """Begin to watch the consumer."""
        self._partitions = consumer.progress
        self._watchdog.start(consumer)

    def close(self) -> None:
        """Stop watching and serving."""
        self.health.ready = False
        self._watchdog.close()
        if self._server is not None:
            self._server.close()
