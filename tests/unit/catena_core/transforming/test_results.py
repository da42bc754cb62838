"""What a transform may return, and what is sent then."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core import Electron
from catena_core.transforming.results import read_result, read_results

ONE = Electron("k", 1)


@pytest.mark.parametrize(
    ("returned", "values"),
    [
        (None, []),
        ([], []),
        (0, [0]),
        ("", [""]),
        (ONE, [1]),
        ([ONE, 2, "three"], [1, 2, "three"]),
        ((1, 2), [(1, 2)]),
        ((1, print, 2, 3), [(1, print, 2, 3)]),
        ({"a": 1}, [{"a": 1}]),
        ((ONE,), [1]),
        ((ONE, None), [1]),
        (([ONE, 2], None, [3]), [1, 2]),
        (("x", None), [("x", None)]),
    ],
    ids=repr,
)
def test_values_electrons_and_lists_of_them_are_sent(returned: Any, values: list[Any]) -> None:
    result = read_result(returned)
    assert [electron.value for electron in result.electrons] == values
    assert result.callback is None


def test_an_electron_is_sent_as_it_is() -> None:
    assert read_result(ONE).electrons[0] is ONE


@pytest.mark.parametrize(
    ("rest", "called"),
    [((), ((), {})), (((1, 2),), ((1, 2), {})), (([3],), ((3,), {})), (({"a": 4},), ((), {"a": 4}))],
    ids=repr,
)
def test_a_callback_gets_the_arguments_beside_it(rest: tuple[Any, ...], called: Any) -> None:
    calls = []
    result = read_result(("value", lambda *args, **kwargs: calls.append((args, kwargs)), *rest))
    assert [electron.value for electron in result.electrons] == ["value"]
    assert result.callback is not None
    result.callback()
    assert calls == [called]


def test_a_callback_without_an_output_is_called_all_the_same() -> None:
    result = read_result((None, dict))
    assert result.electrons == [] and result.callback is not None


def test_a_value_that_a_generator_returns_follows_those_that_it_yields() -> None:
    def transform() -> Any:
        yield "a"
        return "b"

    values = [electron.value for result in read_results(transform()) for electron in result.electrons]
    assert values == ["a", "b"]


@pytest.mark.parametrize(
    "returned", [map(str, [1, 2]), iter(["1", "2"]), (text for text in "12")], ids=lambda it: type(it).__name__
)
def test_each_item_of_an_iterator_is_sent(returned: Any) -> None:
    values = [electron.value for result in read_results(returned) for electron in result.electrons]
    assert values == ["1", "2"]
