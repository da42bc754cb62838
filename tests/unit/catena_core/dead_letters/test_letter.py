"""The headers of dead letters: written by links, read by those who replay them."""

import time

from hypothesis import given
from hypothesis import strategies as st

from catena_core.dead_letters.letter import MARKER, DeadLetter, is_marker, parse
from tests.helpers.messages import Message


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


def test_a_failed_message_cannot_hide_itself_as_a_marker():
    assert not is_marker(Message([(MARKER, b"replayed"), ("error", b"it failed")]))
