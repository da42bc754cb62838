"""orders.py TOPIC COUNT: puts orders into a topic, each with its customer as its key."""

import json
import sys

from confluent_kafka import Producer

topic, count = sys.argv[1], int(sys.argv[2])
producer = Producer({"bootstrap.servers": "localhost:9092"})
for number in range(count):
    producer.produce(topic, json.dumps({"number": number}), f"customer {number % 10}")
producer.flush()
