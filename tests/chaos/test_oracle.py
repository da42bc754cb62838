"""The oracle and the reader see each kind of loss and of wrong answer."""

from __future__ import annotations

from typing import Any

from tests.chaos.ledger import Listed, running_ledger
from tests.chaos.oracle import Difference, compare_versions
from tests.chaos.reader import Reader
from tests.chaos.report import is_good, memory, table
from tests.chaos.run import Outcome, Row

TRUTH = {"urn:a": Listed("0xa", 1, b""), "urn:b": Listed("0xb", 2, b"")}
WHOLE = {"urn:a": [1], "urn:b": [2]}


class FakeNode:
    """A node that holds these versions."""

    def __init__(self, name: str, held: dict[str, list[int]]) -> None:
        self.name = name
        self._held = held

    def versions(self) -> dict[str, list[int]]:
        return self._held


def compare(*held: dict[str, list[int]]) -> Difference:
    nodes: list[Any] = [FakeNode(f"node_{number}", graphs) for number, graphs in enumerate(held)]
    return compare_versions(TRUTH, nodes, copies=2)


def test_compare_versions_of_two_copies_each_finds_no_difference() -> None:
    assert compare(WHOLE, {"urn:a": [1]}, {"urn:b": [2]}).none


def test_compare_versions_counts_copies_that_are_missing_stale_or_mixed() -> None:
    assert compare(WHOLE, {"urn:a": [1]}).missing == 1
    assert compare(WHOLE, {"urn:a": [1], "urn:b": [1]}).missing == 1
    assert compare(WHOLE, {"urn:a": [1], "urn:b": [1, 2]}).missing == 1
    assert compare({}, {}).missing == 4


def test_compare_versions_counts_copies_too_many_and_of_offerings_that_are_gone() -> None:
    assert compare(WHOLE, WHOLE, WHOLE).surplus == 2
    assert compare(WHOLE, {**WHOLE, "urn:gone": [3]}).surplus == 1


Versions = tuple[tuple[str, int], ...]


def answers(*several: Versions, newest: dict[str, Listed] | None = None) -> list[str]:
    """Judge complete answers of one gateway, all asked when both offerings were settled."""
    with running_ledger(1) as ledger:
        ledger.newest = TRUTH if newest is None else newest
        ledger.ever = {"urn:a": {1}, "urn:b": {1, 2, 3}}
        reader = Reader(["gateway"], ledger)
        reader.close()
        for graphs in several:
            rows = [{"g": {"value": iri}, "v": {"value": str(version)}} for iri, version in graphs]
            reader._judge("gateway", TRUTH, rows)
        return reader.wrong + reader.behind(TRUTH)


RIGHT: Versions = (("urn:a", 1), ("urn:b", 2))


def test_reader_takes_answers_with_each_offering_once_for_right() -> None:
    assert answers(RIGHT, RIGHT) == []


def test_reader_takes_a_gateway_that_has_not_heard_of_a_change_for_late_not_for_wrong() -> None:
    assert answers((("urn:b", 1),), RIGHT) == []
    (late,) = answers((("urn:b", 1),))
    assert "gateway does not give 2 as they are, for instance urn:a" in late


def test_reader_finds_answers_that_lack_or_age_what_the_gateway_gave_before() -> None:
    assert "lacks 1, for instance urn:a" in answers(RIGHT, (("urn:b", 2),))[0]
    assert "has an older version of 1, for instance urn:b" in answers(RIGHT, (("urn:a", 1), ("urn:b", 1)))[0]
    edited = {**TRUTH, "urn:b": Listed("0xb", 3, b"")}
    assert answers(RIGHT, (("urn:a", 1), ("urn:b", 3)), newest=edited) == []
    assert (
        "has an older version" in answers((("urn:a", 1), ("urn:b", 2)), (("urn:a", 1), ("urn:b", 1)), newest=edited)[0]
    )


def test_reader_takes_an_answer_without_an_offering_that_was_delisted_for_right() -> None:
    assert answers(RIGHT, (("urn:a", 1),), newest={"urn:a": TRUTH["urn:a"]}) == []


def test_reader_finds_answers_that_repeat_or_invent_offerings() -> None:
    assert "gives twice 1" in answers((("urn:a", 1), *RIGHT))[0]
    assert "made up 1" in answers((*RIGHT, ("urn:c", 5)))[0]


def test_report_gathers_rows_of_a_fault_and_is_good_only_without_losses() -> None:
    rows = [Row("node full", 10, 4.0, 0, 0), Row("node full", 12, 8.0, 1, 2)]
    assert "| node full | 2 | 12 | 6, 8 | 1 | 2 |" in table(rows)
    assert not is_good(Outcome(rows=rows))
    assert is_good(Outcome(rows=rows[:1]))
    assert not is_good(Outcome(end=Difference(surplus=1)))
    assert not is_good(Outcome(wrong_answers=["lacks 1"]))


def test_report_compares_the_memory_of_a_link_early_and_late() -> None:
    samples = [(float(second), f"router_{number}", 50.0 + second) for second in range(101) for number in (1, 2)]
    assert "| router | 88 | 138 |" in memory(samples)
