"""Tables, and links whose state is what their topics say."""

import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from catena_core import Electron, Link
from catena_core.errors import CatenaError
from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table
from catena_core.topics import TopicSpec, ensure
from tests.helpers.links import Memory, link
from tests.helpers.waiting import eventually


class Lookup(Link):
    rows = ""

    def setup(self):
        self.content = self.table(self.rows)

    def transform(self, electron):
        return self.content.get(electron.value, "unknown")


def test_a_table_is_complete_before_the_first_transform_and_kept_fresh(broker, run):
    rows, source, target = broker.topic("rows", compacted=True), broker.topic("in"), broker.topic("out")
    broker.produce(rows, ((f"k{n}", f"row {n}") for n in range(3000)))
    broker.produce(rows, [("k7", None)])
    broker.produce(source, ((None, f"k{n}") for n in (2999, 0, 7)))

    class Known(Lookup):
        pass

    Known.rows = rows
    running = run(link(Known, broker, source, target))
    assert {message.value() for message in broker.read(target, 3)} == {b"row 2999", b"row 0", b"unknown"}
    broker.produce(rows, [("new", "here")])
    eventually(lambda: "new" in running.content)
    broker.produce(source, [(None, "new")])
    assert b"here" in {message.value() for message in broker.read(target, 4)}


def test_a_replaying_link_reads_everything_whenever_it_starts(broker, run):
    source = broker.topic("in", partitions=3)
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(900)))
    for _ in range(2):
        memory = run(link(Memory, broker, source))
        eventually(lambda memory=memory: len(memory.complete) == 3)
        assert sum(len(values) for values in memory.seen.values()) == 900
        assert sum(count for _, count in memory.history) == 900, "told too early"
        run.stop(memory)


def test_topics_with_equally_many_partitions_are_shared_out_alike(broker, run):
    one, two = broker.topic("one", partitions=6), broker.topic("two", partitions=6)
    memories = [
        run(
            Memory(
                kafka_endpoint=broker.endpoint,
                input_topics=(one, two),
                consumer_group=broker.group(),
                properties=broker.properties,
            )
        )
        for _ in range(2)
    ]
    eventually(lambda: sum(len(memory.complete) for memory in memories) == 12 and all(m.complete for m in memories))
    for memory in memories:
        numbers = {topic: {n for t, n in memory.complete if t == topic} for topic in (one, two)}
        assert numbers[one] == numbers[two]


def test_a_member_that_leaves_hands_over_what_it_knew(broker, run):
    source = broker.topic("in", partitions=4)
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(400)))
    first, second = (run(link(Memory, broker, source)) for _ in range(2))
    eventually(lambda: len(first.complete) == 2 and len(second.complete) == 2)
    run.stop(second)
    eventually(lambda: len(first.complete) == 4)
    assert sum(len(values) for values in first.seen.values()) == 400


def test_submitted_calls_run_between_electrons(broker, run):
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Careful(Link):
        def setup(self):
            self.inside = False
            self.clashes = 0
            self.submitted = 0

        def generator(self):
            self.submit(self.check)
            self.wait(0.002)

        def check(self):
            self.submitted += 1
            self.clashes += self.inside

        def transform(self, electron):
            self.inside = True
            time.sleep(0.003)
            self.inside = False
            return Electron(electron.key, electron.value)

    careful = run(link(Careful, broker, source, target))
    broker.produce(source, ((None, "v") for _ in range(200)))
    broker.read(target, 200)
    assert careful.submitted > 20
    assert careful.clashes == 0


def test_a_table_catches_up_with_what_others_wrote(broker, run):
    rows, source = broker.topic("rows", compacted=True), broker.topic("in")

    class Reader(Link):
        def setup(self):
            self.content = self.table(rows)

        def transform(self, electron):
            pass

    reader = run(link(Reader, broker, source))
    eventually(lambda: hasattr(reader, "content"))
    for number in range(20):
        broker.produce(rows, [(f"k{number}", f"row {number}")])
        reader.content.catch_up()
        assert reader.content[f"k{number}"] == f"row {number}"


def test_a_table_catches_up_beyond_the_marks_of_transactions(kafka, run, topic_name):
    rows = topic_name("rows")
    ensure(kafka.bootstrap, [TopicSpec(rows, 2, compacted=True)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic_name("id")})
    producer.init_transactions(120)
    table = Table(kafka.bootstrap, rows, LinkLogger("test"))
    try:
        for number in range(5):
            producer.begin_transaction()
            producer.produce(rows, f"row {number}", "key")
            producer.flush(120)
            # Kafka writes the mark of a transaction after it has taken the commit: catching up includes what has no mark yet.
            committing = threading.Timer(0.2 * (number % 2), producer.commit_transaction, (120,))
            committing.start()
            table.catch_up(120)
            committing.join()
            assert table["key"] == f"row {number}"
    finally:
        table.close()


def test_a_table_catches_up_though_its_topic_was_made_this_moment(kafka, topic_name):
    # Of forty topics of so many partitions, fifteen had one of which the broker did not yet know that it led it.
    for number in range(20):
        rows = topic_name(f"rows-{number}")
        ensure(kafka.bootstrap, [TopicSpec(rows, 30, compacted=True)])
        table = Table(kafka.bootstrap, rows, LinkLogger("test"))
        try:
            table.catch_up(120)
        finally:
            table.close()


def test_a_table_of_a_topic_that_does_not_exist_says_so_and_makes_none(kafka, topic_name, monkeypatch):
    monkeypatch.setattr("catena_core.kafka.patience._UNKNOWN_FOR", 0.0)
    rows = topic_name("misspelt")
    with pytest.raises(CatenaError, match=f"the table of {rows} cannot be read: .*make it"):
        Table(kafka.bootstrap, rows, LinkLogger("test"))
    assert rows not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=60).topics
