"""compare.py SOURCE TARGET [SECONDS]: says what became of the orders."""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


def read(topic):
    """All that a topic holds now, as (key, value)."""
    consumer = Consumer({"bootstrap.servers": "localhost:9092", "group.id": "compare", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    found, ends = [], 0
    while ends < len(partitions):
        for message in consumer.consume(1000, 0.1):
            ends += message.error() is not None
            found += [] if message.error() else [(message.key(), message.value())]
    consumer.close()
    return found


def compare(source, target, seconds=0):
    """Say what became of the orders, once as many are shipped or the seconds are over."""
    orders, until = len(read(source)), time.monotonic() + float(seconds)
    while len(read(target)) < orders and time.monotonic() < until:
        time.sleep(0.5)
    done, twice, late, last = set(), 0, 0, {}
    for customer, value in read(target):
        number = json.loads(value)["shipped"]
        if number in done:
            twice += 1
        else:
            late += number < last.get(customer, -1)
            last[customer] = number
            done.add(number)
    print(f"{orders} orders: {orders - len(done)} lost, {twice} shipped twice, {late} out of order")


if __name__ == "__main__":
    compare(*sys.argv[1:])
