"""What one question to the nodes is worth."""

from __future__ import annotations

from typing import Any

import pytest

from federation.fetching.rounds import Round, as_read
from federation.fetching.subquery import Request
from federation.source_selection import Snapshot, Source

A, B = Source("a", "http://a/"), Source("b", "http://b/")
ALL = Request("SELECT 1", (), {}, None)
G = Request("SELECT 2", (), {}, frozenset({"urn:g"}))


def test_each_graph_counts_from_its_holder_unless_it_has_moved_or_was_not_asked_for() -> None:
    before = Snapshot((A, B), {"urn:g": "a", "urn:h": "b", "urn:deleted": "a"}, frozenset({"urn:deleted"}))

    def counting(asked: Request, *moved: str) -> list[tuple[str, str]]:
        done = Round(before, asked, before, frozenset(moved))
        graphs = ("urn:g", "urn:h", "urn:own", "urn:deleted")
        return [(source.id, graph) for source in (A, B) for graph in graphs if done.counts(source)(graph)]

    assert counting(ALL) == [("a", "urn:g"), ("a", "urn:own"), ("b", "urn:h"), ("b", "urn:own")]
    assert counting(ALL, "urn:g", "urn:own") == [("b", "urn:h")]
    assert counting(G) == [("a", "urn:g")]


class TestMissing:
    WHOLE = Snapshot((A, B), {"urn:g": "a", "urn:h": "b"}, taken=1)
    WITHOUT_B = Snapshot((A,), {"urn:g": "a", "urn:h": ""}, missing=("b",), taken=2)

    def missing(self, before: Snapshot, now: Snapshot, asked: Request = ALL) -> set[str]:
        return Round(before, asked, now, frozenset()).missing()

    def test_none_are_while_all_are_there(self) -> None:
        assert self.missing(self.WHOLE, self.WHOLE) == set()

    def test_those_that_are_not_there_are_if_their_graphs_were_asked_for(self) -> None:
        assert self.missing(self.WITHOUT_B, self.WITHOUT_B) == {"b"}
        assert self.missing(self.WITHOUT_B, self.WITHOUT_B, G) == set()

    def test_what_a_node_has_sent_before_it_went_is_not_missing(self) -> None:
        assert self.missing(self.WHOLE, self.WITHOUT_B) == set()

    def test_unless_its_graph_had_come_or_gone_meanwhile(self) -> None:
        now = Snapshot((A,), self.WITHOUT_B.holders, missing=("b",), taken=2, touched={"urn:h": 2})
        assert self.missing(self.WHOLE, now) == {"b"}
        assert self.missing(self.WHOLE, now, G) == set()

    def test_a_graph_in_doubt_is(self) -> None:
        doubtful = Snapshot((A, B), {"urn:g": "a"}, missing=("a",), doubtful=frozenset({"urn:g"}))
        assert self.missing(doubtful, doubtful, G) == {"a"}

    def test_a_graph_of_which_nobody_knows_where_it_is_may_be(self) -> None:
        lacking = Snapshot((A,), missing=("b",))
        assert self.missing(lacking, lacking, G) == {"b"}


class TestMarks:
    """What is kept must not count as newer than it is."""

    BEFORE = Snapshot((A, B), {"urn:g": "a", "urn:h": "b"}, marks={"urn:g": 2, "urn:h": 5}, version="v2", taken=1)

    def later(self, taken: int, version: str, marks: dict[str, int], **others: Any) -> Snapshot:
        return Snapshot((A, B), dict.fromkeys(marks, "b"), marks=marks, version=version, taken=taken, **others)

    def test_while_nothing_changes_they_are_the_snapshot_s(self) -> None:
        assert as_read(self.BEFORE, []) is self.BEFORE
        assert as_read(self.BEFORE, [Round(self.BEFORE, ALL, self.BEFORE, frozenset())]) is self.BEFORE

    @pytest.mark.parametrize("asked", [ALL, G])
    def test_what_has_another_mark_when_all_is_over_has_none(self, asked: Request) -> None:
        now = self.later(2, "v3", {"urn:g": 3, "urn:h": 5})
        shown = as_read(self.BEFORE, [Round(self.BEFORE, asked, now, frozenset())])
        assert shown.marks == {"urn:h": 5}
        assert shown.version not in ("", "v2", "v3")

    def test_nor_has_what_is_gone(self) -> None:
        now = self.later(2, "v3", {"urn:h": 5})
        assert as_read(self.BEFORE, [Round(self.BEFORE, ALL, now, frozenset())]).marks == {"urn:h": 5}

    def test_what_is_asked_for_again_has_that_of_its_last_round(self) -> None:
        now = self.later(2, "v1", {"urn:g": 1, "urn:h": 5})
        rounds = [Round(self.BEFORE, ALL, now, frozenset({"urn:g"})), Round(now, G, now, frozenset())]
        shown = as_read(self.BEFORE, rounds)
        assert shown.marks == {"urn:g": 1, "urn:h": 5}
        assert shown.version not in ("", "v1", "v2")

    def test_what_is_not_asked_for_has_the_snapshot_s_whatever_came_of_it(self) -> None:
        now = self.later(2, "v3", {"urn:g": 2, "urn:h": 6})
        assert as_read(self.BEFORE, [Round(self.BEFORE, G, now, frozenset())]) is self.BEFORE

    def test_what_has_moved_and_says_the_same_is_as_good(self) -> None:
        now = self.later(2, "v2, another epoch", dict(self.BEFORE.marks))
        rounds = [Round(self.BEFORE, ALL, now, frozenset({"urn:g"})), Round(now, G, now, frozenset())]
        assert as_read(self.BEFORE, rounds) is self.BEFORE
