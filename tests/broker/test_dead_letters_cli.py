"""``catena dead-letters``: what failed for good is seen, and put back once."""

import json
import time
from itertools import count

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from catena_core import Electron, Link
from catena_core.dead_letters import replay
from catena_core.errors import UsageError
from catena_core.topics import TopicSpec, ensure
from tests.helpers.waiting import eventually
from topology.cli.main import main


@pytest.fixture
def catena(broker):
    """Run ``catena dead-letters …`` against the broker; with ``status=None`` it must fail somehow."""

    def call(command, *arguments, status=0, answer=None):
        words = ["dead-letters", command, "-k", broker.endpoint, *map(str, arguments)]
        result = CliRunner().invoke(main, words, input=answer)
        assert result.exit_code == status or (status is None and result.exit_code), result.output
        return result.output

    return call


@pytest.fixture
def letters(broker):
    """Make a topic of dead letters out of ``(partition, key, value, headers)``."""
    number = count()

    def make(rows):
        topic = f"{broker.group(f'group{next(number)}')}.dead-letters"
        ensure(broker.endpoint, [TopicSpec(topic, 4)])
        producer = Producer({"bootstrap.servers": broker.endpoint, "enable.idempotence": True})  # keeps the order
        for partition, key, value, headers in rows:
            headers = {"error": "no such thing", "error-type": "ValueError", "link": "Sorter", **headers}
            producer.produce(topic, value, key, partition=partition, headers=list(headers.items()))
            producer.poll(0)
        assert producer.flush(120) == 0
        return topic

    return make


def contents(broker, topic, number):
    messages = broker.read(topic, number, settle=0.3)
    return [
        (message.partition(), message.key(), message.value(), dict(message.headers() or ())) for message in messages
    ]


class Sorter(Link):
    attempts = 2
    backoff = (0.01, 0.02)
    mended = False

    def transform(self, electron):
        if electron.value == "bad" and not self.mended:
            raise ValueError("no such\x1b[2J thing")
        return Electron(electron.key, electron.value.upper())


def test_what_a_link_gave_up_is_listed_shown_and_once_the_link_is_mended_replayed(broker, run, catena):
    source, target, group = broker.topic("in"), broker.topic("out"), broker.group("Sorter")
    letters = broker.topic(f"{group}.dead-letters", 1)
    broker.produce(source, [("a", "bad"), ("b", "good")])
    link = Sorter(
        kafka_endpoint=broker.endpoint,
        input_topics=(source,),
        output_topics=(target,),
        consumer_group=group,
        properties=broker.properties,
    )
    link.dead_letter_topic = letters
    run(link)
    assert [value for _, _, value, _ in contents(broker, target, 1)] == [b"GOOD"]
    broker.read(letters, 1)

    (row,) = map(json.loads, catena("list", "-t", letters, "--json").splitlines())
    assert row["link"] == "Sorter" and row["error_type"] == "ValueError" and row["error"] == "no such\x1b[2J thing"
    assert row["original_topic"] == source and row["attempts"] == 2 and row["replayed"] is False
    table = catena("list", "-t", letters)
    assert table.splitlines()[1].startswith("0:0  ") and f"  {source} " in table
    assert table.endswith("  2                ValueError  no such\\x1b[2J thing\n")
    shown = catena("show", "0:0", "-t", letters)
    assert "error: no such\\x1b[2J thing" in shown and "\n    bad\n" in shown
    assert "\x1b[2J" not in table + shown

    assert "replayed 1" in catena("replay", "--all", "-t", letters, "--yes")
    assert len(broker.read(letters, 3, settle=0.3)) == 3, "the letter, its marker, and the letter of the replayed one"
    rows = [json.loads(line) for line in catena("list", "-t", letters, "--json").splitlines()]
    assert [(row["replays"], row["replayed"]) for row in rows] == [(0, True), (1, False)]

    link.mended = True
    assert "replayed 1" in catena("replay", "--all", "-t", letters, "--yes")
    eventually(lambda: len(broker.read(target, 2)) == 2)
    assert sorted(value for _, _, value, _ in contents(broker, target, 2)) == [b"BAD", b"GOOD"]
    assert "nothing to replay" in catena("replay", "--all", "-t", letters, "--yes")


def test_replayed_ones_are_as_they_came_in_their_own_partition(broker, letters, catena):
    source = broker.topic("orders")
    origin = {"original-topic": source, "original-offset": "5", "attempts": "4", "failed-at": "1700000000.000"}
    value = bytes(range(256))
    topic = letters(
        [
            (
                0,
                b"k",
                value,
                {"original-partition": "3", "tint": b"\xff", "content-type": "application/octet-stream"} | origin,
            ),
            (1, None, None, {"original-partition": "1", "replayed": "6"} | origin),
            (2, b"z", b"z", {"original-partition": "99"} | origin),
        ]
    )
    catena("replay", "--all", "-t", topic, "--yes")
    returned = sorted(contents(broker, source, 3), key=lambda row: row[1] or b"")
    assert returned[0] == (1, None, None, {"replayed": b"7"})
    assert returned[1] == (
        3,
        b"k",
        value,
        {"tint": b"\xff", "content-type": b"application/octet-stream", "replayed": b"1"},
    )
    assert returned[2][1:] == (b"z", b"z", {"replayed": b"1"}), "its partition is gone, so its key says where"


def test_replayed_ones_have_the_time_of_their_replay_or_on_demand_their_own(broker, letters, catena):
    source = broker.topic("orders")
    began = int(time.time() * 1000)
    came = began - 3_600_000
    topic = letters([(0, b"k", b"v", {"original-topic": source, "original-timestamp": str(came)})])
    catena("replay", "--all", "-t", topic, "--yes")
    catena("replay", "--all", "--again", "--keep-timestamps", "-t", topic, "--yes")
    own, now = sorted(message.timestamp()[1] for message in broker.read(source, 2))
    assert own == came and now >= began


def test_many_are_replayed_once_each_and_in_order(broker, letters, catena):
    source = broker.topic("orders")
    origin = {"original-topic": source, "original-partition": "2"}
    topic = letters([(n % 3, b"k", b"%d %d" % (n % 3, n), origin) for n in range(1700)])
    assert "replayed 1700\n" in catena("replay", "--all", "-t", topic, "--yes")
    assert "1700 were replayed already" in catena("replay", "--all", "-t", topic, "--yes")
    values = [value.split() for _, _, value, _ in contents(broker, source, 1700)]
    assert len(values) == 1700
    for partition in (b"0", b"1", b"2"):
        numbers = [int(number) for of, number in values if of == partition]
        assert numbers == sorted(set(numbers))


def test_single_ones_and_picked_ones_are_remembered_too(broker, letters, catena):
    source = broker.topic("orders")
    origin = {"original-topic": source}
    topic = letters(
        [
            (0, b"a", b"0:0", origin),
            (0, b"b", b"0:1", origin | {"error-type": "Timeout"}),
            (0, b"c", b"0:2", origin | {"link": "Fetcher"}),
            (0, b"d", b"0:3", origin | {"failed-at": f"{time.time() - 7200:.3f}"}),
            (1, b"e", b"1:0", origin),
        ]
    )
    for arguments, number in (
        (["0:0", "1:0"], 2),
        (["--error-type", "Timeout"], 1),
        (["--link", "Fetcher"], 1),
        (["0:0"], 0),
        (["--all", "--since", "1h"], 0),
        (["--all"], 1),
        (["--again", "0:2"], 1),
    ):
        expected = f"replayed {number}\n" if number else "nothing to replay"
        assert expected in catena("replay", "-t", topic, "--yes", *arguments)
    values = sorted(value for _, _, value, _ in contents(broker, source, 6))
    assert values == [b"0:0", b"0:1", b"0:2", b"0:2", b"0:3", b"1:0"]


def test_what_kafka_takes_is_remembered_even_if_it_refuses_another(broker, letters, catena):
    source = broker.topic("orders")
    sizes = (10, 5000, 20)
    topic = letters([(0, b"k", b"x" * size, {"original-topic": source}) for size in sizes])
    said = catena("replay", "--all", "-t", topic, "--yes", "-X", "message.max.bytes=1000", status=1)
    assert "2 replayed and remembered, then Kafka did not take one" in said and "too large" in said
    assert "replayed 1\n" in catena("replay", "--all", "-t", topic, "--yes")
    assert sorted(len(value) for _, _, value, _ in contents(broker, source, 3)) == sorted(sizes)


def test_nothing_is_replayed_unless_it_is_wanted(broker, letters, catena):
    source = broker.topic("orders")
    topic = letters([(0, b"a", b"a", {"original-topic": source})])
    assert f"would replay 1 to {source}" in catena("replay", "--all", "-t", topic, "--dry-run")
    assert f"Replay 1 dead letters (1 to {source})?" in catena("replay", "--all", "-t", topic, answer="n\n", status=1)
    assert "which ones?" in catena("replay", "-t", topic, status=2)
    assert "either name single letters" in catena("replay", "0:0", "--all", "-t", topic, status=2)
    assert contents(broker, source, 0) == []
    assert "replayed 1" in catena("replay", "--all", "-t", topic, answer="y\n")
    assert len(contents(broker, source, 1)) == 1


def test_letters_that_do_not_say_where_they_came_from_can_be_sent_elsewhere(broker, letters, catena):
    other = broker.topic("orders.retry")
    topic = letters([(0, b"a", b"a", {}), (1, b"b", b"b", {"original-topic": "no-such-topic"})])
    said = catena("replay", "0:0", "-t", topic, "--yes")
    assert "1 do not say where they came from; --to TOPIC" in said and "nothing to replay" in said
    assert "there is no topic no-such-topic" in catena("replay", "--all", "-t", topic, "--yes", status=1)
    assert "there is no topic nor-this" in catena("replay", "--all", "--to", "nor-this", "-t", topic, "--yes", status=1)
    assert "replayed 2" in catena("replay", "--all", "--to", other, "-t", topic, "--yes")
    assert sorted(value for _, _, value, _ in contents(broker, other, 2)) == [b"a", b"b"]


def test_a_letter_without_its_value_is_not_put_back_as_a_tombstone(broker, letters, catena):
    source = broker.topic("orders")
    topic = letters([(0, b"a", None, {"original-topic": source, "value-left-out": "17000000 bytes"})])
    said = catena("replay", "--all", "-t", topic, "--yes")
    assert "1 stand there without their value" in said and "nothing to replay" in said
    with replay.DeadLetters(broker.endpoint) as client:
        found, _ = client.read([topic])
        with pytest.raises(UsageError, match="0:0 stands there without its value"):
            client.replay(found)
    assert contents(broker, source, 0) == []


def test_the_newest_are_listed_last_and_older_ones_counted(letters, catena):
    topic = letters([(n % 3, None, b"x", {"failed-at": f"{1_700_000_000 + n}.5"}) for n in range(9)])
    lines = catena("list", "-t", topic, "--limit", 4).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["2:1", "0:2", "1:2", "2:2"]
    assert lines[5] == "… and 5 older; --limit 9 shows them all"
    (row,) = map(json.loads, catena("list", "-t", topic, "--limit", 1, "--json").splitlines())
    assert row["failed_at"] == "2023-11-14T22:13:28.500Z"
    assert "no dead letters like that" in catena("list", "-t", topic, "--link", "Fetcher")


def test_values_are_shown_cut_and_strangers_bytes_do_not_drive_the_terminal(letters, catena):
    topic = letters(
        [
            (0, b"\x1b]0;owned\x07", b"first\nsecond\x1b[31m\r\xff", {"x\x1b": b"\x9b\xc2\x9b"}),
            (0, b"k", b"x" * 5000, {}),
            (0, b"k", b'{"a":1}', {"content-type": "application/json"}),
            (0, None, None, {}),
        ],
    )
    shown = catena("show", "all", "-t", topic)
    assert all(line.isprintable() for line in shown.splitlines())
    assert "key: \\x1b]0;owned\\x07\n" in shown and "    first\n    second\\x1b[31m\\r\\xff\n" in shown
    assert "3000 more characters; --full shows all" in shown
    assert "x" * 5000 in catena("show", "0:1", "--full", "-t", topic)
    assert '    {\n      "a": 1\n    }\n' in shown
    assert "key: none\n  value: none (a tombstone)\n" in shown
    assert "no dead letter stands at 0:9, 5:0" in catena("show", "0:9", "5:0", "-t", topic, status=1)
    assert "'0-9' should be PARTITION:OFFSET" in catena("show", "0-9", "-t", topic, status=2)


def test_without_a_topic_all_dead_letters_are_listed_but_a_position_needs_one(letters, catena):
    one, other = letters([(0, None, b"one", {})]), letters([(0, None, b"other", {})])
    listed = catena("list", "--json", "--limit", 100_000).splitlines()
    assert {one, other} <= {json.loads(line)["topic"] for line in listed}
    (row,) = map(json.loads, catena("list", "--json", "-g", one.removesuffix(".dead-letters")).splitlines())
    assert row["topic"] == one
    table = catena("list")
    assert one in table and other in table
    said = catena("show", "0:0", status=2)
    assert "in which topic? Say -t with one of" in said and one in said


def test_wrong_names_say_what_would_be_right(letters, catena):
    topic = letters([(0, None, b"x", {})])
    said = catena("list", "-t", "no-such-topic", status=1)
    assert "there is no topic no-such-topic; dead letters stand in" in said and topic in said
    assert "there is no topic Nobody.dead-letters" in catena("list", "-g", "Nobody", status=1)
    assert "give one of them" in catena("list", "-g", "Nobody", "-t", topic, status=2)
    assert "see -X" in catena("list", "-X", "no.such.property=1", status=1)
    assert "should be name=value" in catena("list", "-X", "nonsense", status=None)
    assert "should be an age such as 30m" in catena("list", "--since", "yesterday", status=2)


def test_no_kafka_says_so(monkeypatch):
    monkeypatch.setattr(replay, "_ANSWER_TIMEOUT", 1.0)
    result = CliRunner().invoke(main, ["dead-letters", "list", "-k", "127.0.0.1:1"])
    assert result.exit_code == 1 and "no Kafka broker answers at 127.0.0.1:1 (Connect to" in result.output
    result = CliRunner().invoke(main, ["dead-letters", "list"], env={"KAFKA_ENDPOINT": ""})
    assert result.exit_code == 2 and "-k HOST:PORT" in result.output


def test_help_teaches(catena):
    result = CliRunner().invoke(main, ["dead-letters", "--help"])
    assert "catena dead-letters list -k localhost:9092" in result.output
    for command in ("list", "show", "replay"):
        assert "Examples:" in CliRunner().invoke(main, ["dead-letters", command, "--help"]).output
