"""The metrics of a link, for Prometheus (https://prometheus.io/docs/concepts/metric_types/).

Counters are raised once for a batch, never for each electron. Values of the moment, such as lag, are computed when an exporter
reads them, so they cannot go stale and cost nothing meanwhile.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from catena_core.kafka.partition import Partition

# Seconds: from a transform that never waits to one that waits for a slow server.
BUCKETS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class ConsumerState(NamedTuple):
    """The state of a link's consumer at one moment.

    Attributes:
        lags: The unfinished messages of each assigned partition.
        lane_depths: The batches that wait in each lane, by its name.
        paused: The number of assigned partitions that are paused because of full lanes.
    """

    lags: Mapping[Partition, int]
    lane_depths: Mapping[str, int]
    paused: int


class Metrics:
    """The metrics of one link, in a registry of their own, so that two links in one process do not mix.

    All methods may be called from any thread.

    Args:
        registry: The registry that an exporter of Prometheus reads; ``None`` for a new one.

    Attributes:
        registry: As given.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._consumed = self._counter("consumed", "Electrons taken from Kafka.", "topic", "partition")
        self._produced = self._counter("produced", "Electrons sent and acknowledged by Kafka.", "topic")
        self._failed = self._counter("failed", "Attempts to transform an electron that failed.", "topic")
        self._retried = self._counter("retried", "Attempts to transform an electron after a failed one.", "topic")
        self._dead_letters = self._counter("dead_letters", "Electrons given up, by the topic they came from.", "topic")
        self._commits = self._counter("commits", "Commits of offsets that Kafka took.")
        self._commit_failures = self._counter("commit_failures", "Commits of offsets that Kafka did not take.")
        self._rebalances = self._counter("rebalances", "Times that partitions were assigned or revoked.")
        self._transactions = self._counter("transactions", "Transactions, by how they ended.", "result")
        self._transform_seconds = _TransformSeconds()
        self._consumer = _Consumer()
        self.registry.register(self._transform_seconds)
        self.registry.register(self._consumer)

    def consumed(self, topic: str, partition: int, n: int) -> None:
        """Count electrons taken from a partition."""
        self._consumed.add(n, topic, partition)

    def produced(self, topic: str, n: int) -> None:
        """Count electrons that a topic acknowledged."""
        self._produced.add(n, topic)

    def failed(self, topic: str, n: int = 1) -> None:
        """Count attempts that raised, by the topic of their electrons."""
        self._failed.add(n, topic)

    def retried(self, topic: str, n: int = 1) -> None:
        """Count attempts that follow a failed one, by the topic of their electrons."""
        self._retried.add(n, topic)

    def dead_letters(self, topic: str, n: int = 1) -> None:
        """Count electrons put into the dead letters, by the topic they came from."""
        self._dead_letters.add(n, topic)

    def committed(self) -> None:
        """Count one commit that Kafka took."""
        self._commits.add(1)

    def commit_failed(self) -> None:
        """Count one commit that Kafka did not take."""
        self._commit_failures.add(1)

    def rebalanced(self) -> None:
        """Count one change of the assigned partitions."""
        self._rebalances.add(1)

    def transaction(self, result: str) -> None:
        """Count one transaction that ended, for instance ``"committed"`` or ``"aborted"``."""
        self._transactions.add(1, result)

    def transform_seconds(self, topic: str, seconds: float, n: int = 1) -> None:
        """Take ``n`` electrons of a topic into the histogram in one step, each with the same duration.

        Args:
            topic: The topic they came from.
            seconds: The time of each: for a batch timed as a whole, its duration divided by ``n``.
            n: The number of electrons.
        """
        self._transform_seconds.observe(topic, seconds, n)

    def start_at_zero(self, topics: Iterable[str]) -> None:
        """Show the failures of topics before the first: the rise of a counter that appears with it would be 0."""
        for topic in topics:
            for counter in (self._failed, self._retried, self._dead_letters):
                counter.add(0, topic)

    def read_consumer(self, state: Callable[[], ConsumerState] | None) -> None:
        """Set the call that gives the consumer's state to exporters.

        Args:
            state: Called from the exporter's thread, so it must copy the state that other threads change. ``None`` when there
                is no consumer any more.
        """
        self._consumer.state = state

    def forget(self, topic: str, partition: int) -> None:
        """Drop the rows of a partition that this instance no longer has."""
        self._consumed.remove(topic, partition)

    def _counter(self, name: str, documentation: str, *labels: str) -> _CachedCounter:
        return _CachedCounter(Counter(f"catena_{name}_total", documentation, labels, registry=self.registry))


class _CachedCounter:
    """A counter whose rows are found in one step; ``Counter.labels`` locks and builds texts at each call."""

    __slots__ = ("_counter", "_rows")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._rows: dict[tuple[object, ...], Counter] = {}

    def add(self, n: int, *labels: object) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = self._counter.labels(*labels) if labels else self._counter
        row.inc(n)

    def remove(self, *labels: object) -> None:
        if self._rows.pop(labels, None) is not None:
            self._counter.remove(*labels)


class _TransformSeconds(Collector):
    """A histogram that takes many equal observations in one step, which ``Histogram.observe`` cannot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, topic: str, seconds: float, n: int) -> None:
        with self._lock:
            counts = self._counts.get(topic)
            if counts is None:
                counts = self._counts[topic] = [0] * (len(BUCKETS) + 1)
                self._sums[topic] = 0.0
            counts[bisect_left(BUCKETS, seconds)] += n
            self._sums[topic] += seconds * n

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(
            "catena_transform_seconds", "Seconds that the transform took for an electron.", labels=["topic"]
        )
        with self._lock:
            rows = [(topic, list(counts), self._sums[topic]) for topic, counts in self._counts.items()]
        bounds = [*map(repr, BUCKETS), "+Inf"]
        for topic, counts, total in rows:
            running, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                running += count
                buckets.append((bound, float(running)))
            family.add_metric([topic], buckets, total)
        return [family]


class _Consumer(Collector):
    """The gauges, computed from the consumer's state of the moment."""

    def __init__(self) -> None:
        self.state: Callable[[], ConsumerState] | None = None

    def collect(self) -> Iterable[Metric]:
        state = self.state() if self.state is not None else ConsumerState({}, {}, 0)
        lag = GaugeMetricFamily(
            "catena_lag", "Messages of a partition that are not finished yet.", labels=["topic", "partition"]
        )
        for (topic, partition), behind in state.lags.items():
            lag.add_metric([topic, str(partition)], behind)
        depth = GaugeMetricFamily("catena_lane_depth", "Batches that wait in a lane.", labels=["lane"])
        for lane, batches in state.lane_depths.items():
            depth.add_metric([lane], batches)
        return [
            lag,
            depth,
            GaugeMetricFamily("catena_paused_partitions", "Partitions paused because of full lanes.", state.paused),
            GaugeMetricFamily("catena_assigned_partitions", "Partitions that this instance has.", len(state.lags)),
        ]
