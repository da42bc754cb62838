"""A member joins once more when two looks in a row find the same partitions without a member."""

from __future__ import annotations

import math
import struct
import time

import pytest

from catena_core.consuming import group_watch
from catena_core.consuming.group_watch import GroupWatch
from catena_core.kafka.partition import Partition

Found = frozenset[Partition] | None
A, B = ("other", 0), ("other", 1)
NONE: Found = frozenset()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """Return the answers of the brokers to come; without one, they do not answer yet."""
    coming: list[Found] = []

    class Question:
        def __init__(self, *_: object) -> None:
            pass

        @property
        def is_answered(self) -> bool:
            return bool(coming)

        def answer(self) -> Found:
            return coming.pop(0)

    monkeypatch.setattr(group_watch, "_Question", Question)
    return coming


@pytest.fixture
def watch() -> GroupWatch:
    watch = GroupWatch("group", {}, 0.0)
    watch.changed()
    return watch


def looks(watch: GroupWatch) -> bool:
    """Ask, and read the answer if there is one."""
    assert not watch.look(["in", "other"], [("in", 0)])
    return watch.look(["in", "other"], [("in", 0)])


@pytest.mark.parametrize(
    ("told", "joins"),
    [
        ([NONE], False),
        ([{A}, {A}], True),
        ([{A}, NONE], False),
        ([{A}, {B}], False),
        ([{A}, {B}, {B}], True),
        ([{A, B}, {B}], True),
        ([None, {A}], False),
        ([{A}, None, {A}], True),
    ],
)
def test_it_joins_only_after_two_looks(watch: GroupWatch, answers: list[Found], told: list[Found], joins: bool) -> None:
    results = []
    for found in told:
        answers.append(found if found is None else frozenset(found))
        results.append(looks(watch))
    assert results == [False] * (len(told) - 1) + [joins]


def test_partitions_are_named_until_a_look_finds_all_well(watch: GroupWatch, answers: list[Found]) -> None:
    for found in ({A}, {A}):
        answers.append(frozenset(found))
        looks(watch)
    assert watch.unassigned == {A}
    watch.changed()
    answers.append(NONE)
    assert not looks(watch)
    assert not watch.unassigned


def test_an_assignment_is_read_as_consumers_write_it() -> None:
    written = (
        b"\0\x01\0\0\0\x02\0\x02in\0\0\0\x02\0\0\0\x00\0\0\0\x07\0\x03\xc3\xa9t\0\0\0\x01\0\0\x01\x00\0\0\0\x04user"
    )
    assert list(group_watch._read(written)) == [("in", 0), ("in", 7), ("ét", 256)]
    assert list(group_watch._read(b"")) == []
    with pytest.raises(struct.error):
        list(group_watch._read(written[:20]))


def test_it_is_due_after_a_change_until_all_is_well(watch: GroupWatch, answers: list[Found]) -> None:
    assert GroupWatch("group", {}, 0.0).due == math.inf
    assert watch.due <= time.monotonic()
    answers.append(NONE)
    looks(watch)
    assert watch.due == math.inf
