"""Errors as logs and dead letters show them, even those that cannot be printed."""

import pytest

from catena_core.errors import described, message_of


def odd(*methods):
    def broken(self):
        raise KeyError("text")

    return type("Odd", (Exception,), dict.fromkeys(methods, broken))("a bad day")


@pytest.mark.parametrize(
    ("error", "as_repr", "as_str"),
    [
        (ValueError("no"), "ValueError('no')", "no"),
        (ValueError(), "ValueError()", ""),
        (odd("__str__"), "Odd('a bad day')", "Odd('a bad day')"),
        (odd("__repr__"), "a bad day", "a bad day"),
        (odd("__str__", "__repr__"), "Odd, which cannot be printed", "Odd, which cannot be printed"),
    ],
)
def test_error_is_described_though_its_methods_raise(error, as_repr, as_str):
    assert (described(error), message_of(error)) == (as_repr, as_str)
