"""The links as their consumer groups show them: on Apache Kafka, as the embedded broker cannot list groups."""

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.helpers.waiting import eventually
from topology.consumer_groups import LinkStatus, look

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True),
]


def test_groups_with_instances_or_lag_are_links(broker, topic_name):
    topic = broker.topic("in", 2)
    broker.produce(topic, [("k", "a"), ("k", "b")], partition=0)
    broker.produce(topic, [("k", "c")], partition=1)
    settings = {"bootstrap.servers": broker.endpoint}
    running, stopped, silent = (topic_name(name) for name in ("running", "stopped", "silent"))

    def client(group):
        return Consumer({**settings, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"})

    member, gone, reader = client(running), client(stopped), client(silent)
    try:
        gone.commit(offsets=[TopicPartition(topic, 0, 1), TopicPartition(topic, 1, 0)], asynchronous=False)
        member.subscribe([topic])
        assert eventually(lambda: member.poll(0.1) is not None and len(member.assignment()) == 2)
        reader.assign([TopicPartition(topic, 0)])

        metadata = AdminClient(settings).list_topics(timeout=60)
        found = {link.group: link for link in look(settings, metadata)}

        assert found[running] == LinkStatus(running, 1, "stable", None)
        assert found[stopped] == LinkStatus(stopped, 0, "empty", 2)
        assert silent not in found
    finally:
        for consumer in (member, gone, reader):
            consumer.close()
