"""JSON literals are written as RFC 8785 says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.rdf.json_literal import canonical_json

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (4.5, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789012345678901, "123456789012345680000"),
        (9007199254740993, "9007199254740992"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_canonical_json_number_is_written_as_by_ecmascript(number: float, text: str) -> None:
    assert canonical_json(number) == text


def test_canonical_json_members_are_ordered_by_utf_16_code_units() -> None:
    assert canonical_json({"\ue000": 1, "😀": 2, "a": [True, None]}) == '{"a":[true,null],"😀":2,"\ue000":1}'


def test_canonical_json_escapes_only_what_must_be() -> None:
    assert canonical_json("\u20ac$\x0f\nA'B\"\\/\x7f") == '"€$\\u000f\\nA\'B\\"\\\\/\x7f"'


@given(JSON)
def test_canonical_json_means_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value), parse_int=float) == value
