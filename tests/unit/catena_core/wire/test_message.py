"""Messages of Kafka and electrons: what one becomes as the other, in each format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core import Electron
from catena_core.errors import CodecError, UsageError
from catena_core.wire import codec
from catena_core.wire.message import FORMATS, NO_TIMESTAMP, UNREADABLE, headers_of, reader, unmarked_encoder, writer
from catena_core.wire.message import Message as Output
from tests.helpers.messages import Message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)
KEYS = st.none() | st.text()


def received(output: Output) -> Any:
    return Message(output.headers or (), value=output.value, key=output.key)


def read(value_format: str, message: Any) -> Electron:
    return reader(value_format)(message, "in", 2, 7)


@given(KEYS, JSON | st.binary() | st.tuples(st.integers(), st.text()))
def test_whatever_a_link_sends_another_receives(key: Any, value: Any) -> None:
    electron = read("auto", received(writer("auto", "out")(Electron(key, value))))
    assert (electron.key, electron.value) == (key, value)
    assert type(electron.value) is type(value)


@given(JSON.filter(lambda value: value is not None))
def test_json_is_written_without_a_mark_and_read_without_one(value: Any) -> None:
    output = writer("json", "out")(Electron("k", value))
    assert output.headers is None
    assert read("json", received(output)).value == value


@pytest.mark.parametrize("value_format", FORMATS)
def test_none_is_a_tombstone_in_every_format(value_format: str) -> None:
    output = writer(value_format, "out")(Electron("k", None))
    assert output.value is None
    assert read(value_format, received(output)).value is None


@pytest.mark.parametrize(
    ("value_format", "data"),
    [("json", b"{"), ("text", b"\xff"), ("json", b"[" * 100_000)],
    ids=["json", "text", "deep"],
)
def test_a_value_that_is_not_of_the_format_is_refused(value_format: str, data: bytes) -> None:
    with pytest.raises(CodecError, match=f"not {value_format}"):
        read(value_format, Message(value=data))


@pytest.mark.parametrize(("value_format", "value"), [("text", 1), ("bytes", "text"), ("json", object())])
def test_a_value_that_the_format_does_not_know_cannot_be_sent(value_format: str, value: Any) -> None:
    with pytest.raises(CodecError, match=f"cannot be sent as {value_format}"):
        writer(value_format, "out")(Electron("k", value))


def test_a_marked_value_is_read_by_its_mark_whatever_the_format() -> None:
    marked = Message([(codec.CONTENT_TYPE, codec.JSON.encode())], value=b"[1]")
    assert [read(value_format, marked).value for value_format in FORMATS] == [[1]] * len(FORMATS)


def test_an_electron_knows_where_it_came_from() -> None:
    electron = read("auto", Message([("other", b"header")], key=b"k"))
    assert (electron.previous_topic, electron.partition, electron.offset) == ("in", 2, 7)
    assert electron.timestamp == 1_700_000_000_500
    assert dict(electron.headers) == {"other": "header"}


def test_an_electron_that_is_passed_on_goes_by_its_key_and_at_its_own_time() -> None:
    output = writer("auto", "out")(read("auto", Message(key=b"k")))
    assert (output.topic, output.key, output.partition, output.timestamp) == ("out", b"k", None, None)


def test_an_electron_that_is_passed_on_keeps_its_time_on_demand() -> None:
    write = writer("auto", "out", keep_timestamps=True)
    received = read("auto", Message(key=b"k"))
    assert (write(received).timestamp, write(received).partition) == (1_700_000_000_500, None)
    assert write(received.replace(timestamp=NO_TIMESTAMP)).timestamp is None
    assert write(received.replace(timestamp=7)).timestamp == 7


def test_an_electron_names_its_own_place() -> None:
    output = writer("auto", "out")(Electron("k", "v", topic="elsewhere", partition=3, timestamp=5))
    assert (output.topic, output.partition, output.timestamp) == ("elsewhere", 3, 5)


def test_an_electron_without_a_key_may_get_one() -> None:
    assert writer("auto", "out", "default")(Electron(None, "v")).key == b"default"
    assert writer("auto", "out", "default")(Electron("own", "v")).key == b"own"


def test_headers_travel_beside_the_mark_of_the_value() -> None:
    output = writer("auto", "out")(Electron("k", [1], headers={"a": "b"}))
    assert dict(output.headers or ()) == {"a": b"b", codec.CONTENT_TYPE: codec.JSON.encode()}


def test_a_content_type_of_ones_own_that_names_another_character_set_is_corrected() -> None:
    for value, named, sent in (
        ({"a": "é"}, "application/ld+json; charset=utf-16", "application/ld+json; charset=utf-8"),
        ("é", "text/csv; charset=latin-1", "text/csv; charset=utf-8"),
    ):
        output = writer("auto", "out")(Electron("k", value, headers={"content-type": named}))
        assert output.headers == [("content-type", sent.encode())]
        assert read("auto", Message(output.headers, value=output.value or b"")).value == value


def test_bytes_are_whatever_their_sender_says() -> None:
    output = writer("auto", "out")(Electron("k", b"[1]", headers={"content-type": "application/json"}))
    assert (output.value, output.headers) == (b"[1]", [("content-type", b"application/json")])


def test_header_names_and_values_may_be_any_kind_of_bytes() -> None:
    output = writer("auto", "out")(Electron("k", "v", headers={b"name": bytearray(b"\xff")}))  # type: ignore[dict-item]
    assert output.headers == [("name", b"\xff")]


@pytest.mark.parametrize(
    ("named", "sent"),
    [("application/ld+json", "application/ld+json"), ("text/turtle", codec.JSON), ("", codec.JSON)],
)
def test_a_content_type_of_ones_own_stays_where_it_fits_the_value(named: str, sent: str) -> None:
    output = writer("auto", "out")(Electron("k", [1], headers={"a": "b", "Content-Type": named}))
    content_types = [data for name, data in output.headers or () if name.lower() == codec.CONTENT_TYPE]
    assert content_types == [sent.encode()]
    assert ("a", b"b") in (output.headers or ())


def test_without_any_topic_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="-o TOPIC"):
        writer("auto", None)(Electron("k", "v"))


def test_only_formats_without_a_mark_have_an_encoder_of_their_own() -> None:
    assert unmarked_encoder("auto") is None
    encode = unmarked_encoder("json")
    assert encode is not None and encode([1]) == b"[1]"


@pytest.mark.parametrize("headers", [{"a\ud800": "x"}, {"a\0b": "x"}, [1], "ab", 7, [("a", "b", "c")]])
def test_headers_that_would_end_the_process_or_are_none_are_refused(headers: Any) -> None:
    with pytest.raises(CodecError, match="headers are names in Unicode"):
        writer("auto", "out")(Electron("k", "v", headers=headers))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"timestamp": 1.5}, "timestamp of an electron is a whole number, not 1.5"),
        ({"timestamp": -1}, "at least 0"),
        ({"partition": "3"}, "partition of an electron is a whole number"),
        ({"partition": -1}, "at least 0"),
        ({"partition": 2**31}, "less than"),
        ({"topic": "bad topic!"}, "'bad topic!' is no name of a topic"),
        ({"topic": 7}, "7 is no name of a topic"),
        ({"topic": ""}, "'' is no name of a topic"),
    ],
)
def test_an_electron_for_no_such_place_is_refused(place: dict[str, Any], said: str) -> None:
    with pytest.raises(CodecError, match=said):
        writer("auto", "out")(Electron("k", "v", **place))


class TornMessage(Message):
    """A header's name is not UTF-8: Kafka's client fails, and leaves a list behind that ends the process."""

    asked = False

    def headers(self) -> Any:
        if self.given is not None:
            return self.given
        assert not self.asked, "the process has ended"
        self.asked = True
        raise SystemError("returned a result with an exception set")

    given = None

    def set_headers(self, headers: Any) -> None:
        self.given = headers


def test_headers_whose_names_cannot_be_read_are_an_error_each_time() -> None:
    message = TornMessage(value=b"v")
    for _ in range(3):
        with pytest.raises(CodecError, match="not UTF-8"):
            read("auto", message)
    assert headers_of(message) == [(UNREADABLE, None)]


def test_headers_of_an_electron_that_is_sent_on_are_as_they_came() -> None:
    pairs = [("bytes", b"\xff\x00"), ("none", None), ("twice", b"1"), ("twice", b"2"), ("empty", b"")]
    electron = read("auto", Message(headers=pairs, value=b"v"))
    assert electron.headers == {"bytes": "\ufffd\x00", "none": "", "twice": "2", "empty": ""}
    assert writer("auto", "out")(electron).headers == pairs
    headers: Any = electron.headers
    headers["twice"] = "3"
    headers["new"] = b"\xfe"
    del headers["empty"]
    assert writer("auto", "out")(electron).headers == [
        ("bytes", b"\xff\x00"),
        ("none", None),
        ("twice", b"3"),
        ("new", b"\xfe"),
    ]


@pytest.mark.parametrize(
    "headers", [{"a": b"\xff", "b": None, "c": 1}, [("a", b"\xff"), ("b", None), ("c", "0"), ("c", 1)]]
)
def test_headers_may_be_bytes_none_and_pairs(headers: Any) -> None:
    sent = writer("auto", "out")(Electron("k", "v", headers=headers)).headers or []
    assert [item for item in sent if item[1] != b"0"] == [("a", b"\xff"), ("b", None), ("c", b"1")]
    assert len(sent) == len(headers)


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_the_header_of_the_content_type_may_be_written_in_any_case(name: str) -> None:
    electron = read("auto", Message(headers=[(name, b"application/json; charset=utf-8")], value=b"[1]"))
    assert (electron.value, dict(electron.headers)) == ([1], {})


@pytest.mark.parametrize("content_type", [b"", b" "])
def test_an_empty_content_type_is_none(content_type: bytes) -> None:
    assert read("json", Message(headers=[("content-type", content_type)], value=b"[1]")).value == [1]
    assert read("auto", Message(headers=[("content-type", content_type)], value=b"[1]")).value == "[1]"
