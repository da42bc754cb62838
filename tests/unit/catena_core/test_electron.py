"""The electron: what becomes of its headers, and of its copies."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core import Electron
from catena_core.electron import NO_HEADERS, ReceivedHeaders, header_pairs
from catena_core.errors import CodecError

CAME = [("a", b"1"), ("raw", b"\xff\xfe"), ("a", b"2"), ("none", None)]


def test_received_headers_are_read_as_text() -> None:
    assert ReceivedHeaders(CAME) == {"a": "2", "raw": "\ufffd\ufffd", "none": ""}


def test_received_headers_that_are_sent_on_keep_their_bytes() -> None:
    assert ReceivedHeaders(CAME).pairs == CAME


@pytest.mark.parametrize(
    ("change", "pairs"),
    [
        ({"a": "3"}, [("raw", b"\xff\xfe"), ("none", None), ("a", b"3")]),
        ({"none": None}, [("a", b"1"), ("raw", b"\xff\xfe"), ("a", b"2"), ("none", None)]),
        ({"new": b"\x00"}, [*CAME, ("new", b"\x00")]),
    ],
    ids=["changed", "null as it came", "added"],
)
def test_only_headers_that_were_changed_since_lose_their_bytes(change: dict[str, Any], pairs: list[Any]) -> None:
    headers = ReceivedHeaders(CAME)
    headers.update(change)
    assert headers.pairs == pairs


def test_a_received_header_may_be_taken_away() -> None:
    headers = ReceivedHeaders(CAME)
    del headers["a"]
    assert headers.pairs == [("raw", b"\xff\xfe"), ("none", None)]


def test_headers_changed_back_are_as_they_came() -> None:
    headers = ReceivedHeaders(CAME)
    headers["raw"] = "x"
    headers["raw"] = "\ufffd\ufffd"
    assert headers.pairs == CAME


@pytest.mark.parametrize(
    ("headers", "pairs"),
    [
        ({"a": "ä", "b": b"\xff", "c": None, "d": 7}, [("a", "ä".encode()), ("b", b"\xff"), ("c", None), ("d", b"7")]),
        ([("a", "1"), ("a", "2")], [("a", b"1"), ("a", b"2")]),
        ({7: "seven"}, [("7", b"seven")]),
        ({b"raw": bytearray(b"\xff"), "view": memoryview(b"\x00")}, [("raw", b"\xff"), ("view", b"\x00")]),
        ({"lone": "\ud800"}, [("lone", b"?")]),
    ],
)
def test_headers_go_out_as_bytes_null_or_text(headers: Any, pairs: list[Any]) -> None:
    assert header_pairs(headers) == pairs


@pytest.mark.parametrize("headers", [7, ["a"], [("a", "b", "c")], [1], {"\ud800": "x"}, {"cut\0here": "x"}])
def test_what_are_no_headers_is_refused(headers: Any) -> None:
    with pytest.raises(CodecError, match="names in Unicode"):
        header_pairs(headers)


def test_a_copy_goes_elsewhere_and_leaves_the_electron_as_it_is() -> None:
    value = {"n": 1}
    electron = Electron("k", value, previous_topic="in", partition=3)
    copy = electron.replace(topic="out", partition=None)
    assert (copy.topic, copy.partition, copy.previous_topic) == ("out", None, "in")
    assert (electron.topic, electron.partition) == (None, 3)
    assert copy.value is value


def test_an_electron_is_copied() -> None:
    electron = Electron("k", [1], headers={"a": "b"})
    copied = electron.copy()
    assert copied == electron and copied is not electron


def test_electrons_without_headers_share_none_that_could_be_changed() -> None:
    assert Electron("k", "v").headers is NO_HEADERS
    with pytest.raises(TypeError):
        NO_HEADERS["a"] = "b"  # type: ignore[index]
