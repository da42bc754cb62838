"""Messages of Kafka and electrons: what one becomes as the other, in each format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core import Electron
from catena_core.errors import CodecError, UsageError
from catena_core.wire import codec
from catena_core.wire.message import FORMATS, reader, unmarked_encoder, writer
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


def test_an_electron_names_its_own_place() -> None:
    output = writer("auto", "out")(Electron("k", "v", topic="elsewhere", partition=3, timestamp=5))
    assert (output.topic, output.partition, output.timestamp) == ("elsewhere", 3, 5)


def test_an_electron_without_a_key_may_get_one() -> None:
    assert writer("auto", "out", "default")(Electron(None, "v")).key == b"default"
    assert writer("auto", "out", "default")(Electron("own", "v")).key == b"own"


def test_headers_travel_beside_the_mark_of_the_value() -> None:
    output = writer("auto", "out")(Electron("k", [1], headers={"a": "b"}))
    assert dict(output.headers or ()) == {"a": b"b", codec.CONTENT_TYPE: codec.JSON.encode()}


def test_without_any_topic_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="-o TOPIC"):
        writer("auto", None)(Electron("k", "v"))


def test_only_formats_without_a_mark_have_an_encoder_of_their_own() -> None:
    assert unmarked_encoder("auto") is None
    encode = unmarked_encoder("json")
    assert encode is not None and encode([1]) == b"[1]"
