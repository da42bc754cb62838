"""What can be seen of a link from outside: offsets in Kafka, metrics and health over HTTP, its use of the consumer."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter

from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

import catena_core.consuming.loop


def committed(broker, group, topic, partitions=1):
    """Look up the committed offset of each partition; -1001 where there is none."""
    consumer = Consumer({"bootstrap.servers": broker.endpoint, "group.id": group, "log_level": 0})
    try:
        places = consumer.committed([TopicPartition(topic, number) for number in range(partitions)], timeout=60)
        return [place.offset for place in places]
    finally:
        consumer.close()


def health(port):
    """Ask ``/healthz``; return the status and the answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)


def metric(port, name):
    """Read the samples of a metric, by topic and partition or its other labels; none while the port is not open."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            families = text_string_to_metric_families(answer.read().decode())
    except urllib.error.URLError:
        return {}
    return {_place(s.labels): s.value for family in families for s in family.samples if s.name == name}


def _place(labels):
    return tuple(value for _, value in sorted(labels.items(), reverse=True))


def record(monkeypatch):
    """Have all consumers of links from now on record their calls.

    Returns:
        How often each method was called by which thread, by ``(method, thread's name)``.
    """
    calls: Counter[tuple[str, str]] = Counter()

    def recorded(name):
        def call(self, *args, **kwargs):
            calls[name, threading.current_thread().name] += 1
            return getattr(Consumer, name)(self, *args, **kwargs)

        return call

    names = (
        "poll consume pause resume commit subscribe unsubscribe assign incremental_assign incremental_unassign seek "
        "store_offsets consumer_group_metadata close"
    )
    kind = type("RecordingConsumer", (Consumer,), {name: recorded(name) for name in names.split()})
    monkeypatch.setattr(catena_core.consuming.loop, "Consumer", kind)
    return calls
