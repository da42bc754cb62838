"""Contents that a gateway left out when it started are in the topic still."""

from __future__ import annotations

from confluent_kafka import Producer

from catena_core.kafka.client import client_properties
from catena_core.monitoring.logs import LinkLogger
from catena_core.topics import ensure
from links.gateway import Gateway
from tests.broker.conftest import Broker
from topology import records, topics
from topology.records import Offering


def test_a_gateway_reads_contents_again_from_the_topic(embedded_broker: Broker) -> None:
    ensure(embedded_broker.endpoint, topics.SPECS)
    offering = Offering(graph="urn:read-again", digest="d", claimed_at=1, triples="<urn:s> <urn:p> <urn:o> .\n")
    producer = Producer(client_properties(embedded_broker.endpoint, LinkLogger("test"), embedded_broker.properties))
    producer.produce(topics.OFFERINGS, records.to_text(offering), "0xread-again")
    assert producer.flush(30) == 0
    contents = Gateway(kafka_endpoint=embedded_broker.endpoint).offering_contents()
    contents.begin({offering.graph: offering.digest})
    claim = contents.decode("0xread-again", records.to_text(offering))

    assert contents.content("0xread-again", claim) is None
    contents.read_missing()

    assert contents.content("0xread-again", claim) == offering.triples
