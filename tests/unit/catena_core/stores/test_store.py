"""Records of stores: what is written of a value, and what is returned of a record."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core.stores.store import check_key, record_of, value_of


@pytest.mark.parametrize(
    ("value", "store_key", "record"),
    [
        (36, False, {"value": 36}),
        (36, True, {"value": 36, "key": "ada"}),
        (None, False, {"value": 0}),
        (None, True, {"key": "ada"}),
        ({"age": 36, "died": None}, False, {"age": 36, "died": None}),
        ({}, True, {"key": "ada"}),
    ],
)
def test_a_value_makes_a_record_of_named_values(value: Any, store_key: bool, record: dict[str, Any]) -> None:
    assert record_of("ada", value, store_key) == record


def test_the_callers_dictionary_stays_as_it_is() -> None:
    value = {"age": 36}
    record_of("ada", value, store_key=True)["age"] = 37
    assert value == {"age": 36}


@pytest.mark.parametrize(("value", "error"), [({}, ValueError), ({1: 2}, TypeError)])
def test_what_makes_no_record_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        record_of("ada", value, store_key=False)


@pytest.mark.parametrize(
    ("record", "returned"),
    [
        ({"value": 36}, (None, 36)),
        ({"value": 36, "key": "ada"}, ("ada", 36)),
        ({"value": 36, "age": 1}, (None, {"value": 36, "age": 1})),
        ({"key": "ada"}, ("ada", None)),
        ({}, (None, None)),
    ],
)
def test_a_record_is_returned_as_its_value(record: dict[str, Any], returned: Any) -> None:
    assert value_of(record) == returned


@pytest.mark.parametrize("key", ["", "a", b"", 0, 2**63 - 1, -(2**63)])
def test_text_bytes_and_integers_are_keys(key: Any) -> None:
    assert check_key(key) is key


@pytest.mark.parametrize(
    ("key", "error"), [(True, TypeError), (1.5, TypeError), (None, TypeError), (2**63, ValueError)]
)
def test_nothing_else_is_a_key(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_key(key)
