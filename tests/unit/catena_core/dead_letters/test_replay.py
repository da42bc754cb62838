"""Which dead letters were replayed, as markers in their topic tell."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.dead_letters.letter import MARKER, DeadLetter, is_marker
from catena_core.dead_letters.replay import Replayed, _marked, _merged
from tests.helpers.messages import Message


def letter(offset, partition=0, topic="letters"):
    unknown: list[Any] = [None] * 7
    rest: list[Any] = [*unknown, 0, True]
    return DeadLetter(topic, partition, offset, 0.0, *rest)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda span: (span[0], sum(span)))))
def test_ranges_hold_exactly_the_offsets_that_were_marked(ranges):
    offsets = {offset for first, last in ranges for offset in range(first, last + 1)}
    merged = _merged(ranges)
    assert {offset for first, last in merged for offset in range(first, last + 1)} == offsets
    assert all(before[1] + 1 < after[0] for before, after in pairwise(merged))
    replayed = Replayed()
    for span in ranges:
        replayed.add(("letters", 0), [span])
    for offset in range(90):
        assert (letter(offset) in replayed) == (offset in offsets)
        assert letter(offset, partition=1) not in replayed
        assert letter(offset, topic="others") not in replayed


def test_a_marker_counts_only_for_letters_before_it():
    marker = Message([(MARKER, b"replayed")], offset=42, value=b'{"replayed": [[1, 3], [9, 5], [40, 41], [41, 42]]}')
    assert is_marker(marker)
    assert _marked(marker) == [(1, 3), (40, 41)]


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b'{"replayed": [[1]]}', b'{"replayed": [["a", 2]]}', b"\xff"]
)
def test_a_malformed_marker_marks_nothing(value):
    assert _marked(Message([(MARKER, b"replayed")], value=value)) == []
