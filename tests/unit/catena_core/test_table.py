"""The rows of a table, as the messages of its topic make them."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.embedded import EmbeddedBroker
from catena_core.errors import CatenaError, StoppedError
from catena_core.kafka.patience import Patience
from catena_core.kafka.topic_ids import TopicIds
from catena_core.kafka.watermarks import watermarks
from catena_core.monitoring.logs import LinkLogger
from catena_core.table import Table, TableContent
from catena_core.wire.message import UNREADABLE


@pytest.fixture
def changes():
    return []


def test_table_content_shows_the_last_value_of_each_key():
    rows = TableContent()
    for key, value in [("a", 1), ("b", 2), ("a", 3), ("b", None), ("never", None)]:
        rows.apply(key, value)

    assert rows == {"a": 3}
    assert (len(rows), list(rows), rows.get("b")) == (1, ["a"], None)


def test_table_content_decodes_values_and_leaves_out_what_decode_leaves_out():
    rows = TableContent(decode=lambda key, value: f"{key}{value}" if value else None)
    for key, value in [("a", 1), ("b", 0), ("c", 2), ("c", 0)]:
        rows.apply(key, value)

    assert rows == {"a": "a1"}


def test_table_content_keeps_the_old_row_unless_the_new_one_is_accepted(changes):
    rows = TableContent(
        accept=lambda _, old, new: old is None or new > old, on_change=lambda *change: changes.append(change)
    )
    for value in (2, 1, 3, None):
        rows.apply("a", value)

    assert changes == [("a", None, 2), ("a", 2, 3), ("a", 3, None)]


def test_table_content_of_a_key_that_moved_ignores_the_tombstone_of_its_former_partition(changes):
    rows = TableContent(on_change=lambda *change: changes.append(change))
    rows.apply("a", "old", partition=0)
    rows.apply("a", "new", partition=1)
    rows.apply("a", None, partition=0)

    assert rows == {"a": "new"}
    rows.apply("a", None, partition=1)
    assert rows == {}
    assert changes[-1] == ("a", "new", None)


def test_table_content_copies_are_of_one_moment():
    rows = TableContent()
    rows.apply("a", 1)
    copies = rows.copy(), rows.items(), list(rows.values())
    rows.apply("b", 2)

    assert [len(copy) for copy in copies] == [1, 1, 1]


@pytest.fixture(scope="module")
def rows():
    """Make tables of one topic, and close them."""
    tables = []
    with EmbeddedBroker() as broker:
        broker.create_topic("rows", 2)

        def make(patience):
            tables.append(Table(broker.endpoint, "rows", LinkLogger("test"), patience=patience))
            return tables[-1]

        yield make
        for table in tables:
            table.close()


def failing(times, answer):
    """Make a method that does not answer so many times."""
    left = [KafkaError._TIMED_OUT] * times

    def method(*args, **given):
        if left:
            raise KafkaException(KafkaError(left.pop()))
        return answer(*args, **given)

    return method


def test_table_whose_brokers_restart_asks_again_for_its_partitions_and_their_ends(rows, monkeypatch):
    monkeypatch.setattr(TopicIds, "partitions", failing(3, TopicIds.partitions))
    monkeypatch.setattr("catena_core.table.watermarks", failing(3, watermarks))
    rows(Patience(120)).catch_up()


def test_table_that_brokers_do_not_tell_of_in_time_says_so(rows, monkeypatch):
    table = rows(Patience(120))
    monkeypatch.setattr("catena_core.table.watermarks", failing(100_000, watermarks))
    with pytest.raises(CatenaError, match="the end of rows cannot be looked up"):
        table.catch_up(0.2)


def test_table_waits_no_longer_for_silent_brokers_once_the_link_is_to_stop(rows, monkeypatch):
    stop = threading.Event()
    table = rows(Patience(600, stop))
    monkeypatch.setattr("catena_core.table.watermarks", failing(100_000, watermarks))
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(StoppedError):
        table.catch_up()
    monkeypatch.undo()
    with pytest.raises(StoppedError):
        monkeypatch.setattr(TopicIds, "partitions", failing(100_000, TopicIds.partitions))
        rows(Patience(600, stop))


class Row:
    """A message of a table's topic."""

    def __init__(self, key, value, headers=(), offset=0):
        self.key, self.value = lambda: key, lambda: value
        self.headers, self.offset = lambda: list(headers), lambda: offset
        self.partition, self.error = lambda: 0, lambda: None


def test_table_reads_content_types_as_links_do_and_leaves_out_rows_that_it_cannot_read(rows, caplog):
    table = rows(Patience(120))
    table.close()
    table._take(Row(b"a", b"[1]", [("Content-Type", b"application/json; charset=utf-8")]))
    table._take(Row(b"b", b"{", [("content-type", b"application/json")], 1))
    table._take(Row(b"\xff", b"text", (), 2))
    table._take(Row(b"c", b"text", [(UNREADABLE, None)], 3))
    assert table == {"a": [1]}
    left_out = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    assert [line.split("key ")[1].split(":")[0] for line in left_out] == ["'b'", "b'\\xff'", "'c'"]


def test_table_whose_topic_is_made_again_goes_on_though_the_author_s_own_code_fails(rows, monkeypatch):
    table = rows(Patience(120))
    table.close()
    table._on_change = lambda key, old, new: 1 / 0
    for number, key in enumerate((b"a", b"b")):
        table._take(Row(key, b"v", (), number))
    table._incomplete = {0, 1}
    for number, found in enumerate("xy"):
        monkeypatch.setattr(table, "_found_id", lambda found=found: found)
        monkeypatch.setattr(table, "_found_partitions", lambda seconds, number=number: {*range(2 - number)})
        monkeypatch.setattr(table, "_assign", lambda partitions: partitions)
        table._look_for_more()
    assert table == {}
    assert table._incomplete == {0}  # the other partition is gone, and never comes to its end
