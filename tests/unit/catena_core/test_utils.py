"""The small functions of Catenae."""

from __future__ import annotations

import time
from typing import Any

import pytest

from catena_core import utils

CONTENT = {"a": ["ä", 1, None, True], "b": {}}


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (utils.dump_dict, '{"a":["ä",1,null,true],"b":{}}'),
        (
            utils.dump_dict_pretty,
            '{\n    "a": [\n        "ä",\n        1,\n        null,\n        true\n    ],\n    "b": {}\n}',
        ),
    ],
)
def test_json_is_written_with_all_letters_and_read_again(write: Any, text: str) -> None:
    assert write(CONTENT) == text
    assert utils.load_dict(text) == CONTENT


@pytest.mark.parametrize(
    ("digest", "beginning", "digits"),
    [
        (utils.blake2b_256, "03f5900e", 64),
        (utils.blake2b_512, "4200c9dd", 128),
        (utils.sha3_512, "f8406dfd", 128),
    ],
)
def test_digest_is_that_of_the_text_in_utf_8(digest: Any, beginning: str, digits: int) -> None:
    assert (digest("ä")[:8], len(digest("ä"))) == (beginning, digits)


def test_timestamps_are_of_now_in_seconds_and_milliseconds() -> None:
    before = int(time.time())

    assert before <= utils.get_timestamp() <= time.time() + 1
    assert 1000 * before <= utils.get_timestamp_ms() <= 1000 * time.time() + 1
    assert isinstance(utils.get_timestamp(), int)


def test_each_uid_is_another() -> None:
    uids = {utils.get_uid() for _ in range(100)}

    assert {len(uid) for uid in uids} == {12}
    assert len(uids) == 100
