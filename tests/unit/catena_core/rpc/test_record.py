"""A record's fields can be read as attributes and as items."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pytest

from catena_core.rpc.record import Record


@dataclass(frozen=True)
class Place(Record):
    """A record with a method and a property besides its fields."""

    name: str
    size: int = 0

    @property
    def loud(self) -> str:
        return self.name.upper()


def test_record_is_a_mapping_of_its_fields() -> None:
    place = Place("here", 3)

    assert dict(place) == {"name": "here", "size": 3}
    assert (place["name"], place.name, len(place), "size" in place) == ("here", "here", 2, True)
    assert place.get("none", "-") == "-"
    assert {**place, "size": 4} == {"name": "here", "size": 4}


@pytest.mark.parametrize("name", ["none", "loud", "get", "__class__", ""])
def test_what_is_no_field_is_no_item(name: str) -> None:
    assert name not in Place("here")
    with pytest.raises(KeyError):
        Place("here")[name]


def test_record_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Place("here").name = "there"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Place("here")["name"] = "there"  # type: ignore[index]
