"""What dead letters say, which were replayed, and how strangers' text is shown."""

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catena_core.dead_letters.cli import _readable
from catena_core.dead_letters.letter import MARKER, DeadLetter, is_marker, parse
from catena_core.dead_letters.replay import Replayed, _marked, _merged
from catena_core.text import printable
from catena_core.wire import codec


class Message:
    """What is used of a message of confluent-kafka."""

    def __init__(self, headers=(), offset=42, value=b"value"):
        self._headers, self._offset, self._value = headers, offset, value

    def topic(self):
        return "Sorter.dead-letters"

    def partition(self):
        return 3

    def offset(self):
        return self._offset

    def timestamp(self):
        return 1, 1_700_000_000_500

    def headers(self):
        return list(self._headers) or None

    def value(self):
        return self._value


def letter(offset, partition=0, topic="letters"):
    unknown: list[Any] = [None] * 7
    rest: list[Any] = [*unknown, 0, True]
    return DeadLetter(topic, partition, offset, 0.0, *rest)


def test_all_that_a_dead_letter_says_is_read():
    read = parse(
        Message(
            [
                ("error", "no such thing: é".encode()),
                ("error-type", b"ValueError"),
                ("link", b"Sorter"),
                ("original-topic", b"orders"),
                ("original-partition", b"7"),
                ("original-offset", b"123"),
                ("attempts", b"4"),
                ("failed-at", b"1700000001.250"),
                ("replayed", b"2"),
            ]
        )
    )
    assert read == DeadLetter(
        "Sorter.dead-letters",
        3,
        42,
        1700000001.25,
        "Sorter",
        "orders",
        7,
        123,
        "ValueError",
        "no such thing: é",
        4,
        2,
        complete=True,
    )


def test_what_a_letter_does_not_say_is_left_out_and_its_time_is_kafkas():
    read = parse(Message())
    assert (read.original_topic, read.original_partition, read.attempts, read.error) == (None, None, None, None)
    assert read.failed_at == 1_700_000_000.5
    assert read.replays == 0


@given(st.dictionaries(st.sampled_from(["attempts", "failed-at", "original-partition", "replayed"]), st.binary()))
def test_malformed_headers_do_not_hide_a_letter(headers):
    read = parse(Message(list(headers.items())))
    assert read.offset == 42
    time.localtime(read.failed_at)  # can be shown


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


def test_a_failed_message_cannot_hide_itself_as_a_marker():
    assert not is_marker(Message([(MARKER, b"replayed"), ("error", b"it failed")]))


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_shown(text):
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\r", "\x07", "\x7f", "\u202e", "\u2028", "\udcff"])
def test_escapes_say_what_stood_there(character):
    assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize(
    ("value", "content_type", "shown"),
    [
        (b'{"a":[1,2]}', codec.JSON, '{\n  "a": [\n    1,\n    2\n  ]\n}'),
        (b'{"a":', codec.JSON, '{"a":'),
        (b'{"a":1}', None, '{"a":1}'),
        ("é".encode(), None, "é"),
        (b"\xff\x00a", None, "\\xff\x00a"),
        (b"\xff\x00a", codec.BYTES, "\\xff\x00a"),
        (codec.encode((1, {2}))[0], codec.MESSAGE_PACK, "(1, {2})"),
        (b"[" * 100_000, codec.JSON, "[" * 100_000),
        (b"[" * 100_000 + b"]" * 100_000, codec.JSON, "[" * 100_000 + "]" * 100_000),
        (b"\x91" * 100_000 + b"\x01", codec.MESSAGE_PACK, "\\x91" * 100_000 + "\x01"),
    ],
)
def test_values_are_shown_by_content_type_or_else_as_text(value, content_type, shown):
    assert _readable(value, content_type) == shown
