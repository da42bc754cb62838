"""The wire format: what any Kafka client can read, and what comes back as it was sent."""

import contextlib
import dataclasses
import datetime
import decimal
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.errors import CodecError
from catena_core.wire import codec


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    label: tuple[str, ...]


class Plain:
    pass


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.builds(Point, st.integers(), st.tuples(st.text()))
)
hashable = st.integers() | st.text() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner)
        | st.sets(hashable)
        | st.frozensets(hashable)
    ),
    max_leaves=20,
)


@given(values)
def test_every_value_comes_back_as_it_was_sent(value):
    data, content_type = codec.encode(value)
    returned = codec.decode(data, content_type)
    assert returned == value
    assert type(returned) is type(value)


def test_text_is_readable_by_any_client_and_carries_no_header():
    assert codec.encode("Grüße") == ("Grüße".encode(), None)


def test_text_of_a_foreign_client_is_text():
    assert codec.decode("Grüße".encode(), None) == "Grüße"


def test_foreign_bytes_that_are_not_text_stay_bytes():
    assert codec.decode(b"\xff\xfe", None) == b"\xff\xfe"


def test_bytes_that_look_like_text_stay_bytes():
    assert codec.decode(*codec.encode(b"abc")) == b"abc"


def test_a_dictionary_travels_as_json():
    data, content_type = codec.encode({"a": [1, 2.5, None, "x"]})
    assert data is not None and content_type == codec.JSON
    assert msgspec.json.decode(data) == {"a": [1, 2.5, None, "x"]}


def test_nested_types_survive():
    value = {"when": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), "pair": (1, {2, 3}), "raw": b"\x00"}
    assert codec.decode(*codec.encode(value)) == value


def test_decimals_keep_their_digits():
    assert str(codec.decode(*codec.encode([decimal.Decimal("1.50")]))[0]) == "1.50"


def test_uuid_in_a_tuple():
    value = (uuid.UUID(int=7),)
    assert codec.decode(*codec.encode(value)) == value


def test_what_cannot_be_sent_is_named():
    with pytest.raises(CodecError, match="Plain cannot be sent; send text"):
        codec.encode([Plain()])


@pytest.mark.parametrize("content_type", [codec.JSON, codec.MESSAGE_PACK])
@pytest.mark.parametrize("data", [b"", b"\x92", b"\xc1", b"\xc7\x02\x01\x93\x01", b"\xd4\x63\x00"])
def test_bytes_that_are_not_what_they_claim_raise_one_kind_of_error(data, content_type):
    with pytest.raises(CodecError, match="cannot be read"):
        codec.decode(data, content_type)


@given(st.binary())
def test_no_bytes_of_a_stranger_raise_anything_else(data):
    with contextlib.suppress(CodecError):
        codec.decode(data, codec.MESSAGE_PACK)


def test_a_message_cannot_name_a_class_that_is_no_dataclass():
    packed = msgspec.msgpack.encode(
        msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["subprocess", "Popen", {"args": "true"}]))
    )
    with pytest.raises(CodecError):
        codec.decode(packed, codec.MESSAGE_PACK)


def test_a_message_cannot_import_a_module():
    packed = msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["antigravity", "x", {}])))
    with pytest.raises(CodecError):
        codec.decode(packed, codec.MESSAGE_PACK)


def test_equal_keys_give_equal_bytes():
    assert codec.encode_key({"a": 1, "b": 2}) == codec.encode_key({"b": 2, "a": 1})
    assert codec.encode_key("k") == b"k"
    with pytest.raises(CodecError):
        codec.encode_key((1, 2))
