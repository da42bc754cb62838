"""Simpler forms of values."""

import msgspec

from catena_core.wire import codec, simpler


def test_kinds_that_stay_are_those_of_json_and_of_the_extension_types() -> None:
    assert {str, bytes, bool, int, float, dict, list, *codec._CODE_OF} == simpler.SIMPLE


def test_a_value_of_another_kind_has_one_simpler_form_deep_within() -> None:
    class Point(msgspec.Struct):
        x: int

    assert simpler.simplified({"at": (Point(1), [Point(2)])}) == {"at": ({"x": 1}, [{"x": 2}])}
