"""The wire format: what any Kafka client can read, and what comes back as it was sent."""

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core import Electron
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


@pytest.mark.parametrize(
    "value", [{1, 2}, {"a": {1, 2}}, (math.nan,), b"x".hex, {1: 2}, [datetime.timedelta(1)], (b"x",)]
)
def test_a_key_that_has_no_single_form_in_json_is_refused(value):
    with pytest.raises(CodecError, match="a key must be"):
        codec.encode_key(value)


class Color(enum.Enum):
    RED = "red"


class Size(int, enum.Enum):
    LARGE = 3


Place = collections.namedtuple("Place", "x y")


class Order(msgspec.Struct):
    name: str
    parts: list[int]


class Tagged(msgspec.Struct, tag=True, rename="camel"):
    shop_name: str
    note: str | msgspec.UnsetType = msgspec.UNSET


class Row(msgspec.Struct, array_like=True, tag="row"):
    number: int


class Moment(datetime.datetime):
    """A time as those of pandas and pendulum are."""


class Day(datetime.date):
    """The same, a day."""


class Span(datetime.timedelta):
    """The same, a difference."""


class NoTime(datetime.datetime):
    """A time that is none, as that of pandas."""

    year = "NaN"  # type: ignore[assignment]


class Model:
    """A model as pydantic's are: it gives itself as a dictionary."""

    def model_dump(self):
        return {"name": "tea", "color": Color.RED}


class Scalar:
    """A scalar as NumPy's are."""

    ndim = 0

    def item(self):
        return 2.5


Scalar.__module__ = "numpy"


class Text(str):
    """Text of a further class."""


@pytest.mark.parametrize(
    ("value", "back", "kind"),
    [
        (Color.RED, "red", None),
        (Size.LARGE, 3, codec.JSON),
        ({"color": Color.RED, "sizes": [Size.LARGE]}, {"color": "red", "sizes": [3]}, codec.JSON),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}, codec.JSON),
        (collections.Counter("aab"), {"a": 2, "b": 1}, codec.JSON),
        (collections.deque([1, 2]), [1, 2], codec.JSON),
        (Place(1, 2), (1, 2), codec.MESSAGE_PACK),
        (Order("tea", [1]), {"name": "tea", "parts": [1]}, codec.JSON),
        (Tagged("tea"), {"type": "Tagged", "shopName": "tea"}, codec.JSON),
        ([Tagged("tea", "!")], [{"type": "Tagged", "shopName": "tea", "note": "!"}], codec.JSON),
        (Row(7), ["row", 7], codec.JSON),
        (Moment(2026, 1, 2, 3, 4, 5, 6), datetime.datetime(2026, 1, 2, 3, 4, 5, 6), codec.MESSAGE_PACK),
        ([Day(2026, 1, 2)], [datetime.date(2026, 1, 2)], codec.MESSAGE_PACK),
        (Span(days=-1, microseconds=1), datetime.timedelta(days=-1, microseconds=1), codec.MESSAGE_PACK),
        (Model(), {"name": "tea", "color": "red"}, codec.JSON),
        (Scalar(), 2.5, codec.JSON),
        ([Scalar()], [2.5], codec.JSON),
        (Text("tea"), "tea", None),
        (bytearray(b"\xff"), b"\xff", codec.BYTES),
        ({uuid.UUID(int=1): Color.RED}, {uuid.UUID(int=1): "red"}, codec.MESSAGE_PACK),
    ],
)
def test_further_types_travel_in_a_form_that_any_receiver_can_rebuild(value, back, kind):
    data, content_type = codec.encode(value)
    assert content_type == kind
    assert codec.decode(data, content_type) == back


@pytest.mark.parametrize("value", [Tagged("tea"), [Tagged("tea", "!")], Row(7)])
def test_a_model_of_msgspec_has_the_same_names_in_either_format(value):
    assert codec.decode(*codec.encode(value)) == msgspec.json.decode(codec.encode_plain_json(value))


def test_a_time_that_is_none_is_refused_as_a_value_and_as_a_key():
    value = NoTime(2026, 1, 2)
    for encode in (codec.encode, codec.encode_key):
        with pytest.raises(CodecError, match="NoTime"):
            encode(value)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_odd_numbers_travel_as_they_are_and_never_as_null(number):
    assert repr(codec.decode(*codec.encode([number]))) == repr([number])
    for value in (number, [1, number], {"a": (number,)}, Order("tea", [number]), {"deep": [{"a": number}]}):
        with pytest.raises(ValueError, match="NaN"):
            codec.encode_plain_json(value)
    assert codec.encode_plain_json([None, "null", 1.5]) == b'[null,"null",1.5]'


@pytest.mark.parametrize("twins", [{1: "a", "1": "b"}, {1.5: "a", "1.5": "b"}, {Color.RED: "a", "red": "b"}])
def test_keys_that_become_one_text_lose_no_value(twins):
    for value in (twins, [twins], {"deep": [twins]}, (1, twins), Order("tea", [twins])):
        with pytest.raises(ValueError, match="two of its keys become one text"):
            codec.encode_plain_json(value)
    if Color.RED in twins:
        with pytest.raises(CodecError, match="two of its keys become one text"):
            codec.encode([twins])
    else:
        assert codec.decode(*codec.encode([twins])) == [twins]
    assert codec.encode_plain_json({1: "a", "2": {"a": {3: "b"}}}) == b'{"1":"a","2":{"a":{"3":"b"}}}'


@pytest.mark.parametrize(
    ("key", "data"),
    [
        (uuid.UUID(int=1), b"00000000-0000-0000-0000-000000000001"),
        (datetime.date(2026, 1, 2), b"2026-01-02"),
        (decimal.Decimal("1.50"), b"1.50"),
        (Color.RED, b"red"),
        (Size.LARGE, b"3"),
        (Text("k"), b"k"),
        (object(), None),
    ],
)
def test_keys_of_further_types_give_equal_bytes(key, data):
    if data is None:
        with pytest.raises(CodecError):
            codec.encode_key(key)
    else:
        assert codec.encode_key(key) == data


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", dict),
        ("application/json; charset=utf-8", dict),
        ("application/json;charset=UTF-8", dict),
        ("Application/JSON", dict),
        (" application/json ", dict),
        ("text/json", dict),
        ("application/cloudevents+json; charset=utf-8", dict),
        ("application/vnd.api+json", dict),
        ("text/plain", str),
        ("text/plain; charset=utf-8", str),
        ("TEXT/CSV", str),
        ("text/plain; charset=klingon", str),
        ("", str),
        (" ; charset=utf-8", str),
        ("application/octet-stream", bytes),
        ("image/png", bytes),
    ],
)
def test_content_types_are_read_by_their_media_type(content_type, kind):
    assert type(codec.decode(b'{"a":1}', content_type)) is kind


def test_character_sets_count():
    assert codec.decode("größe".encode("latin-1"), "text/plain; charset=iso-8859-1") == "größe"
    assert codec.decode('["ö"]'.encode("utf-16"), 'application/json; charset="utf-16"') == ["ö"]
    assert codec.decode(b"\xff", "text/plain") == b"\xff"


def test_json_may_begin_with_a_byte_order_mark():
    assert codec.decode(b"\xef\xbb\xbf[1]", "application/json") == [1]


def test_media_type_of_message_pack_has_several_names():
    data, _ = codec.encode((1, 2))
    for name in ("application/msgpack", "application/x-msgpack", "Application/Vnd.MsgPack"):
        assert codec.decode(data, name) == (1, 2)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_broken_json_is_refused_however_it_is_marked(content_type):
    with pytest.raises(CodecError):
        codec.decode(b"{no json", content_type)


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize("value", ["\ud800", {"a": ["\ud800"]}, {1: "\ud800"}, ("\ud800",), ITSELF])
def test_text_that_is_no_unicode_and_a_value_without_an_end_are_refused(value: Any) -> None:
    for encode in (codec.encode, codec.encode_key):
        with pytest.raises(CodecError):
            encode(value)


@dataclasses.dataclass
class Shipment:
    number: int
    parts: list[Any] = dataclasses.field(default_factory=list)
    total: int = dataclasses.field(init=False, repr=False, compare=False)


@pytest.mark.parametrize(
    "value",
    [
        Electron("k", 1),
        (Electron("a"), Electron("b")),
        [[Electron("a")]],
        {"a": Electron("k")},
        {"a": Shipment(7, [Electron()])},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "write", [codec.encode, codec.encode_plain_json, codec.encode_key], ids=lambda write: write.__name__
)
def test_an_electron_within_a_value_is_refused(write, value):
    with pytest.raises(
        (CodecError, ValueError), match=r"an Electron is no part of a value|must be text, bytes or JSON"
    ):
        write(value)


def test_a_class_is_no_value_of_it():
    with pytest.raises(CodecError, match=r"a builtins\.type cannot be sent"):
        codec.encode(Point)


def test_a_dataclass_travels_though_not_all_of_its_fields_are_set():
    back = codec.decode(*codec.encode(Shipment(7)))
    assert back.number == 7 and not hasattr(back, "total")


def test_a_dataclass_of_another_version_gets_the_defaults_of_fields_that_it_lacks(monkeypatch):
    sent = codec.encode(Shipment(7))

    @dataclasses.dataclass
    class Newer:
        number: int
        currency: str = "EUR"
        notes: list[str] = dataclasses.field(default_factory=list)

    monkeypatch.setitem(globals(), "Shipment", Newer)
    assert codec.decode(*sent) == Newer(7)


def test_a_dataclass_that_cannot_be_rebuilt_says_why(monkeypatch):
    sent = codec.encode(Shipment(7))

    @dataclasses.dataclass
    class Other:
        customer: str

    monkeypatch.setitem(globals(), "Shipment", Other)
    with pytest.raises(CodecError, match=r"lacks the field customer of .*Shipment, which has no default"):
        codec.decode(*sent)
    monkeypatch.delitem(globals(), "Shipment")
    with pytest.raises(CodecError, match=r"no .*Shipment is imported here; import that dataclass"):
        codec.decode(*sent)
