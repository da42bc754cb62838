"""The headers of dead letters: written by links, read by those who replay them."""

import time

from hypothesis import given
from hypothesis import strategies as st

from catena_core.dead_letters.letter import (
    MARKER,
    PREFIX,
    DeadLetter,
    from_electron,
    from_output,
    is_marker,
    origin_of,
    parse,
    replayed_headers,
)
from catena_core.wire.message import Message as Output
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
    assert not is_marker(Message([(MARKER, b"replayed"), (f"{PREFIX}error", b"it failed")]))


OWN = [
    ("link", b"https://example.org/7"),
    ("attempts", b"second"),
    ("error", b"E42"),
    ("replayed", b"never"),
    ("value-left-out", b"no"),
    ("trace", b"\xff\x00"),
    ("none", None),
    ("twice", b"1"),
    ("twice", b"2"),
    ("dead-letter-error", b"of another system"),
]


def test_own_headers_survive_dead_letter_and_replay():
    dead = from_electron("dead", Message(OWN), ValueError("not today"), "Sorter", 4)
    letter = parse(Message(dead.headers))
    assert (letter.error, letter.error_type, letter.link, letter.attempts) == ("not today", "ValueError", "Sorter", 4)
    assert (letter.original_offset, letter.replays, letter.complete) == (42, 0, True)
    assert letter.original_timestamp == 1_700_000_000_500
    assert dict(dead.headers or ())["error-type"] == b"ValueError", "the names of old are there where they do not clash"
    back = replayed_headers(letter, Message(dead.headers))
    assert back == [*OWN, (f"{PREFIX}replayed", b"1")]


def test_a_replayed_message_that_fails_again_counts_its_replays():
    headers = OWN
    for replays in range(3):
        dead = from_electron("dead", Message(headers), ValueError(f"no {replays}"), "Sorter", 4)
        letter = parse(Message(dead.headers))
        assert (letter.replays, letter.error) == (replays, f"no {replays}")
        headers = replayed_headers(letter, Message(dead.headers))
    assert headers == [*OWN, (f"{PREFIX}replayed", b"3")]


def test_a_dead_letter_that_a_link_reads_and_fails_at_has_the_new_reason():
    first = from_electron("dead", Message(OWN), ValueError("first"), "Sorter", 4)
    second = from_output("deader", Output("dead", b"v", None, first.headers), TypeError("second"), "Undertaker")
    letter = parse(Message(second.headers))
    assert (letter.error, letter.error_type, letter.link) == ("second", "TypeError", "Undertaker")
    assert [item for item in second.headers if item in OWN] == OWN
    assert dict(second.headers or ())["error-type"] == b"TypeError"


def test_a_replay_of_a_dead_letter_of_a_dead_letter_gives_the_first_one_back():
    first = from_electron("first", Message(OWN, topic="orders"), ValueError("one"), "Sorter", 4)
    second = from_electron("second", Message(first.headers, topic="first"), TypeError("two"), "Undertaker", 1)
    letter = parse(Message(second.headers, topic="second"))
    assert (letter.original_topic, letter.error) == ("first", "two")
    back = replayed_headers(letter, Message(second.headers))
    assert back == [*(first.headers or ()), (f"{PREFIX}replayed", b"1")]
    again = parse(Message(back))
    assert (again.original_topic, again.original_offset, again.error, again.link) == ("orders", 42, "one", "Sorter")
    assert replayed_headers(again, Message(back)) == [*OWN, (f"{PREFIX}replayed", b"2")]


def test_a_message_that_a_link_brings_back_where_it_failed_has_one_letter_only():
    headers = OWN
    for number in range(3):
        dead = from_electron("dead", Message(headers), ValueError(f"no {number}"), "Sorter", 4)
        headers = dead.headers or []
    assert [data for name, data in headers if name == f"{PREFIX}error" and data != b"of another system"] == [b"no 2"]


def test_an_error_that_cannot_be_printed_is_told():
    class OddError(Exception):
        def __str__(self):
            raise KeyError

        __repr__ = __str__

    dead = from_electron("dead", Message(), OddError(), "Sorter", 1)
    assert parse(Message(dead.headers)).error == "OddError, which cannot be printed"


def test_origin_of_a_letter_is_the_topic_that_it_names():
    assert origin_of(Output("letters", b"v", b"k", [("original-topic", b"orders")])) == "orders"
    assert origin_of(Output("letters", b"v", b"k")) == "letters"
