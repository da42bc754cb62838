"""What a link may return and send, in every mode, and in which shape values arrive: at links and at any other program."""

import dataclasses
import datetime
import decimal
import threading
import uuid
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Consumer

from catena_core import Electron, Link
from catena_core.kafka.watermarks import watermarks
from catena_core.wire.message import reader
from tests.helpers.links import link
from tests.helpers.waiting import eventually

MODES: dict[str, dict[str, Any]] = {
    "asynchronous": {},
    "sequential": {"sequential": True},
    "synchronous": {"synchronous": True},
    "exactly once": {"delivery": "exactly_once"},
}


def values(broker, topic, count, settle=0.3):
    """Read the values of a topic's messages, as a link does."""
    read = reader("auto")
    messages = broker.read(topic, count, settle=settle)
    return [read(message, topic, message.partition(), message.offset()).value for message in messages]


class Ends:
    """Tells how many messages a topic has: what Kafka acknowledged."""

    def __init__(self, broker):
        settings = {"bootstrap.servers": broker.endpoint, "group.id": uuid.uuid4().hex}
        self._consumer = Consumer({**settings, "isolation.level": "read_uncommitted"})

    def close(self):
        self._consumer.close()

    def count(self, topic, partition=0):
        return watermarks(self._consumer, topic, partition, 5)[1]


class Returns(Link):
    """Returns what the electron names, and notes its callbacks with how much of the output Kafka had by then."""

    def setup(self, ends):
        self.ends, self.called = ends, []

    def note(self, *args, **kwargs):
        self.called.append((args, kwargs, self.ends.count(self.output_topics[0])))

    def transform(self, electron):
        if electron.value == "received":
            electron.value, electron.key = "changed", "new key"
            return electron
        return {
            "nothing": None,
            "value": "a value",
            "zero": 0,
            "electron": Electron("key", "an electron"),
            "values": ["one", "two"],
            "electrons": [Electron("k1", "three"), Electron("k2", "four"), "five"],
            "empty": [],
            "pair": (1, 2),
            "callback": ("with callback", self.note),
            "args": (["six", "seven"], self.note, ("all", 7)),
            "kwargs": (Electron("k", "eight"), self.note, {"number": 8}),
        }[electron.value]


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous", "exactly once"])
def test_a_transform_may_return_nothing_values_electrons_lists_and_callbacks(broker, run, mode):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    names = [
        "nothing",
        "value",
        "zero",
        "electron",
        "values",
        "electrons",
        "empty",
        "pair",
        "callback",
        "args",
        "kwargs",
    ]
    broker.produce(source, [("in key", name) for name in [*names, "received"]])
    returns, ends = link(Returns, broker, source, target, **MODES[mode]), Ends(broker)
    returns.start(embedded=True, setup_kwargs={"ends": ends})
    try:
        expected = ["a value", 0, "an electron", "one", "two", "three", "four", "five", (1, 2)]
        expected += ["with callback", "six", "seven", "eight", "changed"]
        assert values(broker, target, len(expected)) == expected
        keys = {message.value(): message.key() for message in broker.read(target, len(expected))}
        assert (keys[b"an electron"], keys[b"three"], keys[b"changed"]) == (b"key", b"k1", b"new key")
        eventually(lambda: len(returns.called) == 3)
        assert [call[:2] for call in returns.called] == [((), {}), (("all", 7), {}), ((), {"number": 8})]
        # What a callback waits for stood in Kafka before it was called.
        assert all(stored >= needed for (*_, stored), needed in zip(returns.called, (10, 12, 13), strict=True))
        # What was received and changed goes on to the output topic, and not back to where it came from.
        assert len(broker.read(source, len(names) + 1, settle=0.3)) == len(names) + 1
    finally:
        returns.stop()
        assert returns.join(120)
        ends.close()


class Sends(Link):
    """Sends one electron in every way from each place from which a link may send."""

    lanes = 2

    def setup(self, other):
        self.other, self.called, self.waited, self.once = other, [], {}, threading.Event()
        self.loop(self.from_place, args=("loop",), interval=600)
        self.launch_thread(self.from_place, ("thread",))

    def generator(self):
        self.from_place("generator")
        self.wait(600)

    def transform(self, electron):
        self.from_place("transform")

    def from_place(self, place):
        self.send(f"{place} plain")
        self.send(f"{place} topic", topic=self.other)
        self.send(
            Electron("k", f"{place} callback"),
            callback=lambda *args, **kwargs: self.called.append((*args, kwargs)),
            callback_args=(place, "called"),
            callback_kwargs={"n": 1},
        )
        self.send([f"{place} sync", Electron(value=f"{place} elsewhere", topic=self.other)], synchronous=True)
        self.waited[place] = True
        self.send((place, 1, 2), synchronous=False)


@pytest.mark.parametrize("mode", MODES)
def test_a_link_sends_from_everywhere_in_every_mode(broker, run, mode):
    source, target, other = broker.topic("in"), broker.topic("out"), broker.topic("other")
    broker.produce(source, [("k", "go")])
    places = ["transform", "generator", "loop", "thread"]
    sends = link(Sends, broker, source, target, **MODES[mode])
    sends.start(embedded=True, setup_kwargs={"other": other})
    try:
        expected: list[Any] = [
            what for place in places for what in (f"{place} plain", f"{place} callback", f"{place} sync")
        ]
        expected += [(place, 1, 2) for place in places]
        assert Counter(values(broker, target, len(expected))) == Counter(expected)
        elsewhere = [f"{place} {what}" for place in places for what in ("topic", "elsewhere")]
        assert Counter(values(broker, other, len(elsewhere))) == Counter(elsewhere)
        eventually(lambda: sorted(sends.called) == sorted((place, "called", {"n": 1}) for place in places))
        assert set(sends.waited) == set(places)
    finally:
        sends.stop()
        assert sends.join(120)


@dataclasses.dataclass(frozen=True)
class Reading:
    sensor: str
    at: datetime.datetime
    values: tuple


VALUES = [
    "text",
    "ünïcödé 🛰",
    "",
    "42",
    "{not json",
    0,
    -1,
    2**63,
    1.5,
    True,
    b"bytes",
    b"\xff\x00",
    [1, [2, "three"], None],
    {"nested": {"list": [1, {"deep": True}]}, "none": None},
    (1, "two", (3.0,)),
    {1, 2, 3},
    frozenset({"a", "b"}),
    {1: "number as key", (2, 3): "tuple as key"},
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, datetime.timezone.utc),
    datetime.timedelta(days=1, microseconds=5),
    decimal.Decimal("1.10"),
    uuid.UUID(int=7),
    {"bytes inside": b"\x00", "set inside": {1}},
    Reading("s1", datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), (1, 2)),
]


class Passes(Link):
    def transform(self, electron):
        return electron


class Keeps(Link):
    def setup(self):
        self.kept = []

    def transform(self, electron):
        self.kept.append(electron)


def typed(value):
    """Pair a value with its type, so that 1, True and 1.0 differ."""
    return type(value).__name__, value


def test_values_come_back_as_they_were_sent_through_two_links(broker, run):
    first, second = broker.topic("first", partitions=1), broker.topic("second", partitions=1)

    class Source(Link):
        def generator(self):
            for value in VALUES:
                self.send(Electron("k", value, headers={"unit": "°C"}))
            self.wait(600)

    run(link(Source, broker, (), first))
    run(link(Passes, broker, first, second, consumer_group=broker.group("passes")))
    keeps = run(link(Keeps, broker, second, consumer_group=broker.group("keeps")))
    eventually(lambda: len(getattr(keeps, "kept", ())) == len(VALUES))
    assert [typed(electron.value) for electron in keeps.kept] == [typed(value) for value in VALUES]
    assert {electron.previous_topic for electron in keeps.kept} == {second}
    assert {electron.headers["unit"] for electron in keeps.kept} == {"°C"}
    assert {electron.key for electron in keeps.kept} == {"k"}


def test_text_is_the_same_for_any_client_of_kafka(broker, run):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    texts = ["plain", "ünïcödé", '{"json": "as text"}', "", "7"]
    broker.produce(source, [(f"schlüssel {n}", text) for n, text in enumerate(texts)])
    broker.produce(source, [("binary", b"\xff\xfe"), ("gone", None)])

    class Checks(Link):
        def transform(self, electron):
            shown = electron.value if electron.key != "binary" else repr(electron.value)
            return Electron(electron.key, shown)

    run(link(Checks, broker, source, target))
    messages = broker.read(target, len(texts) + 2)
    assert [(message.key().decode(), message.value()) for message in messages] == [
        *((f"schlüssel {n}", text.encode()) for n, text in enumerate(texts)),
        ("binary", rb"b'\xff\xfe'"),
        ("gone", None),
    ]
    assert [message.headers() for message in messages] == [None] * len(messages)


@pytest.mark.parametrize(
    ("value_format", "sent", "seen", "stored"),
    [
        ("json", [b'{"a": [1, 2]}', b'"text"', b"7"], [{"a": [1, 2]}, "text", 7], [b'{"a":[1,2]}', b'"text"', b"7"]),
        ("text", [b"7", "grün".encode()], ["7", "grün"], [b"7", "grün".encode()]),
        ("bytes", [b"7", b"\xff"], [b"7", b"\xff"], [b"7", b"\xff"]),
    ],
)
def test_topics_shared_with_other_programs_hold_plain_json_text_or_bytes(broker, run, value_format, sent, seen, stored):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    broker.produce(source, [("k", value) for value in sent])

    class Shares(Link):
        input_format = output_format = value_format

        def setup(self):
            self.seen = []

        def transform(self, electron):
            self.seen.append(electron.value)
            return Electron(electron.key, electron.value)

    shares = run(link(Shares, broker, source, target))
    messages = broker.read(target, len(sent))
    assert shares.seen == seen
    assert [message.value() for message in messages] == stored
    assert [message.headers() for message in messages] == [None] * len(sent)
    assert [message.key() for message in messages] == [b"k"] * len(sent)


def test_an_electron_goes_where_and_when_it_says(broker, run):
    source, target = broker.topic("in"), broker.topic("out", partitions=3)
    broker.produce(source, [("k", "go")])

    class Places(Link):
        def transform(self, electron):
            return Electron("k", "placed", partition=2, timestamp=1_000_000_000_000, headers={"a": "b"})

    run(link(Places, broker, source, target))
    (message,) = broker.read(target, 1)
    assert (message.partition(), message.timestamp()[1], dict(message.headers())["a"]) == (2, 1_000_000_000_000, b"b")
