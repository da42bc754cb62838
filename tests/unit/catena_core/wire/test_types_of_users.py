"""Types that users of other libraries send: objects of attrs, models of pydantic 1, composite keys, iterables."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import uuid
from typing import Any, ClassVar

import attrs
import pydantic
import pydantic.v1
import pytest

from catena_core.errors import CodecError
from catena_core.wire import codec

Place = collections.namedtuple("Place", "x y")


@attrs.define
class Price:
    amount: decimal.Decimal
    tags: list[str] = attrs.field(factory=list)


@attrs.define
class Secretive:
    name: str
    _note: str = "!"


@dataclasses.dataclass(frozen=True)
class Day:
    shop: str
    on: datetime.date
    kinds: ClassVar[int] = 2


class OldModel(pydantic.v1.BaseModel):
    name: str
    price: decimal.Decimal


class NewModel(pydantic.BaseModel):
    name: str
    price: decimal.Decimal


PRICE = decimal.Decimal("1.50")


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (Price(PRICE, ["a"]), {"amount": PRICE, "tags": ["a"]}),
        ({"deep": [Price(PRICE)]}, {"deep": [{"amount": PRICE, "tags": []}]}),
        (Secretive("tea"), {"name": "tea", "_note": "!"}),
        (OldModel(name="tea", price=PRICE), {"name": "tea", "price": PRICE}),
        ([OldModel(name="tea", price=PRICE)], [{"name": "tea", "price": PRICE}]),
        (NewModel(name="tea", price=PRICE), {"name": "tea", "price": PRICE}),
    ],
    ids=repr,
)
def test_objects_and_models_travel_as_dictionaries(value: Any, back: Any) -> None:
    assert codec.decode(*codec.encode(value)) == back


def test_plain_json_has_all_fields_of_an_object_or_refuses_it() -> None:
    assert codec.encode_plain_json(Price(PRICE)) == b'{"amount":"1.50","tags":[]}'
    assert codec.encode_plain_json(OldModel(name="tea", price=PRICE)) == b'{"name":"tea","price":"1.50"}'
    for value in (Secretive("tea"), [Secretive("tea")], {"a": Secretive("tea")}):
        with pytest.raises(ValueError, match="begin with _"):
            codec.encode_plain_json(value)


@pytest.mark.parametrize(
    ("key", "data"),
    [
        (("ada", 1), b'["ada",1]'),
        (Place(1, 2), b"[1,2]"),
        (Day("tea", datetime.date(2026, 1, 2)), b'{"on":"2026-01-02","shop":"tea"}'),
        (("ada", Day("tea", datetime.date(2026, 1, 2))), b'["ada",{"on":"2026-01-02","shop":"tea"}]'),
        (Price(PRICE), b'{"amount":"1.50","tags":[]}'),
        (NewModel(name="tea", price=PRICE), b'{"name":"tea","price":"1.50"}'),
        ([uuid.UUID(int=1), datetime.time(1)], b'["00000000-0000-0000-0000-000000000001","01:00:00"]'),
    ],
    ids=repr,
)
def test_a_composite_key_is_json(key: Any, data: bytes) -> None:
    assert codec.encode_key(key) == data


@pytest.mark.parametrize("value", [{}.values(), range(2), map(str, [1])], ids=lambda value: type(value).__name__)
def test_what_a_list_could_be_made_of_is_refused_with_that_advice(value: Any) -> None:
    with pytest.raises(CodecError, match="make it a list"):
        codec.encode(value)
