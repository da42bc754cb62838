"""Text from elsewhere, made safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.text import printable


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_shown(text):
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\r", "\x07", "\x7f", "\u202e", "\u2028", "\udcff"])
def test_escapes_say_what_stood_there(character):
    assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"
