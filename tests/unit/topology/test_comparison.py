"""Comparing a node with what it acknowledged: nothing at first sight, every loss, and each alteration once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from tests.helpers.fake_node import FakeNode
from topology import records
from topology.comparison import AcknowledgedGraph, NodeComparison, decode_acknowledged
from topology.former_contents import FormerContents
from topology.records import Placement, placement_key

GRAPHS = [f"https://p.example/{number:04}" for number in range(30)]
G = GRAPHS[17]


def acknowledged(graph: str, digest: str = "d", by_value: str = "", version: int = 1) -> AcknowledgedGraph:
    return AcknowledgedGraph("n", graph, "0xa", version, 1, 2, digest, by_value)


class Comparing:
    """A comparison of a node that holds all that it should.

    Attributes:
        waits: What happens during each wait for a second look.
        catches_up: What the acknowledgements in Kafka turn out to change.
        steps: The waits and the catching up, in order.
    """

    def __init__(self) -> None:
        self.node = FakeNode()
        self.held = {graph: acknowledged(graph) for graph in GRAPHS}
        self.node.graphs = dict.fromkeys(GRAPHS, "d")
        self.waits: Callable[[], object] = lambda: None
        self.catches_up: Callable[[], object] = lambda: None
        self.steps: list[str] = []
        self.former = FormerContents()
        self.comparison = NodeComparison(self._wait, self._catch_up, self.former)

    def compare(self, came_up_in: int | None = None) -> tuple[list[str], list[str]]:
        """Return the lost and the altered graphs."""
        found = self.comparison.compare(self.node, lambda: self.held, came_up_in)
        return [one.graph for one in found.lost], [one.graph for one in found.altered]

    def _wait(self, _seconds: float) -> None:
        self.steps.append("wait")
        self.waits()

    def _catch_up(self) -> None:
        self.steps.append("catch up")
        self.catches_up()


@pytest.fixture
def comparing() -> Comparing:
    return Comparing()


def test_a_node_that_holds_all_is_asked_once(comparing: Comparing) -> None:
    assert comparing.compare() == ([], [])
    assert comparing.steps == []


def test_lost_and_altered_graphs_are_found_at_the_second_look(comparing: Comparing) -> None:
    del comparing.node.graphs[G]
    comparing.node.graphs[GRAPHS[3]] = "by hand"
    assert comparing.compare() == ([G], [GRAPHS[3]])
    assert comparing.steps == ["wait", "catch up"]


def test_a_graph_that_is_there_at_the_second_look_is_not_lost(comparing: Comparing) -> None:
    del comparing.node.graphs[G]
    comparing.waits = lambda: comparing.node.graphs.update({G: "d"})
    assert comparing.compare() == ([], [])
    assert comparing.steps == ["wait"]


@pytest.mark.parametrize("second", ["d", "another"])
def test_a_content_that_changes_between_two_looks_is_under_way(comparing: Comparing, second: str) -> None:
    comparing.node.graphs[G] = "one"
    comparing.waits = lambda: comparing.node.graphs.update({G: second})
    assert comparing.compare() == ([], [])


@pytest.mark.parametrize("when", ["waits", "catches_up"])
@pytest.mark.parametrize("shown", [None, "newer"])
@pytest.mark.parametrize("now", [None, acknowledged(G, "newer", version=2)], ids=["deleted", "written again"])
def test_a_graph_that_was_written_meanwhile_does_not_count(
    comparing: Comparing, when: str, shown: str | None, now: AcknowledgedGraph | None
) -> None:
    comparing.node.graphs.pop(G) if shown is None else comparing.node.graphs.update({G: shown})

    def write() -> None:
        comparing.held.pop(G) if now is None else comparing.held.update({G: now})

    setattr(comparing, when, write)
    assert comparing.compare() == ([], [])


def test_contents_are_read_in_turn_until_all_are_read(comparing: Comparing) -> None:
    graphs = [f"https://p.example/{number:04}" for number in range(1050)]
    comparing.held = {graph: acknowledged(graph) for graph in graphs}
    comparing.node.graphs = dict.fromkeys(graphs, "d")
    for _ in range(10):
        comparing.compare()
    assert sorted(comparing.node.read) == graphs


def test_a_comparison_that_often_starts_again_reads_each_content_some_time() -> None:
    graphs = [f"https://p.example/{number:04}" for number in range(1050)]
    read = set()
    while read != set(graphs):  # one that always began with the same graph would never end
        comparing = Comparing()
        comparing.held = {graph: acknowledged(graph) for graph in graphs}
        comparing.node.graphs = dict.fromkeys(graphs, "d")
        comparing.compare()
        read |= set(comparing.node.read)


@pytest.mark.parametrize("sign", ["it was away", "a graph is lost", "the sample has one"])
def test_the_last_writes_that_an_old_backup_lacks_are_found_together(comparing: Comparing, sign: str) -> None:
    graphs = [f"https://p.example/{number:04}" for number in range(5000)]
    random.Random(7).shuffle(graphs)
    partitions = [graphs[start::3] for start in range(3)]
    # A table reads its partitions one after the other, and only within each of them the order of writes holds.
    rows = {graph: acknowledged(graph)._replace(partition=one) for one in range(3) for graph in partitions[one]}
    since_backup = graphs[-330:]
    comparing.held = rows | {
        f"{graph}/new": rows[graph]._replace(graph=f"{graph}/new", epoch=2) for graph in graphs[:300]
    }
    comparing.node.graphs = dict.fromkeys(comparing.held, "d") | dict.fromkeys(since_backup, "older")
    if sign == "a graph is lost":
        del comparing.node.graphs[since_backup.pop()]
    _, altered = comparing.compare(came_up_in=2 if sign == "it was away" else None)
    assert sorted(altered) == sorted(since_backup)
    assert len(set(comparing.node.read)) < 1500


@pytest.mark.parametrize(
    ("sent", "by_value", "shown"), [("0.50", "0.5", "0.5"), ("0.5", "", "0.50"), ("0.50", "0.5", "0.500")]
)
def test_literals_that_have_the_values_that_were_sent_are_right_at_first_sight(
    comparing: Comparing, sent: str, by_value: str, shown: str
) -> None:
    comparing.node.by_value = dict.fromkeys(["0.50", "0.500"], "0.5")
    comparing.held[G] = acknowledged(G, sent, by_value)
    comparing.node.graphs[G] = shown
    assert [comparing.compare() for _ in range(3)] == [([], [])] * 3
    assert comparing.comparison.own_forms == {G}
    comparing.node.graphs[G] = "0.7"
    assert comparing.compare() == ([], [G])
    assert comparing.comparison.own_forms == set()


def test_an_altered_graph_is_told_once_and_left_alone_until_it_looks_different(comparing: Comparing) -> None:
    comparing.node.graphs[G] = "01 as 1"
    assert [comparing.compare()[1] for _ in range(3)] == [[G], [], []]
    assert comparing.comparison.own_forms == {G}
    comparing.node.graphs[G] = "by hand"
    assert comparing.compare()[1] == [G]


@pytest.mark.parametrize("shown", ["older", "older, in a form of its own"])
def test_an_earlier_content_is_told_again_after_pauses_that_double(comparing: Comparing, shown: str) -> None:
    """The node has taken the newer one, and stored nothing."""
    comparing.former.note(G, "older")
    comparing.node.by_value = {"older, in a form of its own": "older"}
    comparing.node.graphs[G] = shown
    told = [number for number in range(16) if comparing.compare()[1]]
    assert told == [0, 1, 3, 7, 15]
    assert comparing.comparison.own_forms == set()


def test_an_earlier_content_that_was_right_meanwhile_is_told_as_at_first(comparing: Comparing) -> None:
    comparing.former.note(G, "older")
    for _ in range(2):
        comparing.node.graphs[G] = "older"
        assert [bool(comparing.compare()[1]) for _ in range(4)] == [True, True, False, True]
        comparing.node.graphs[G] = "d"
        comparing.compare()


def test_another_content_to_hold_is_compared_anew(comparing: Comparing) -> None:
    comparing.node.graphs[G] = "by hand"
    comparing.compare()
    comparing.held[G] = acknowledged(G, "newer", version=2)
    assert comparing.compare()[1] == [G]


def test_a_graph_that_was_altered_and_is_right_is_repaired_and_that_is_told_once(comparing: Comparing) -> None:
    comparing.node.graphs[G] = "by hand"
    comparing.compare()
    assert comparing.comparison.repaired == []
    comparing.node.graphs[G] = "d"
    told = []
    for _ in range(2):
        comparing.compare()
        told.append(comparing.comparison.repaired)
    assert told == [[G], []]
    comparing.node.graphs[G] = "by hand"
    assert comparing.compare()[1] == [G]


def test_a_form_of_its_own_is_forgotten_with_its_graph(comparing: Comparing) -> None:
    comparing.node.by_value = {"0.50": "d"}
    comparing.node.graphs[G] = "0.50"
    comparing.compare()
    assert comparing.comparison.own_forms == {G}
    del comparing.held[G], comparing.node.graphs[G]
    comparing.compare()
    assert comparing.comparison.own_forms == set()


@pytest.mark.parametrize("most", [1, 7, 19])
def test_contents_that_are_too_large_together_are_read_in_parts(comparing: Comparing, most: int) -> None:
    comparing.node.graphs[G] = "by hand"
    comparing.node.most_contents = most
    assert comparing.compare() == ([], [G])


def test_a_content_that_is_too_large_alone_is_left_alone(comparing: Comparing) -> None:
    comparing.node.graphs[G] = "by hand"
    comparing.node.most_contents = 0
    assert comparing.compare() == ([], [])


def test_questions_name_no_more_graphs_than_a_node_takes(comparing: Comparing) -> None:
    graphs = [f"https://p.example/{number:04}" for number in range(1200)]
    comparing.held = {graph: acknowledged(graph) for graph in graphs}
    comparing.node.graphs = dict.fromkeys(graphs, "d")
    comparing.compare()
    assert comparing.node.asked == [500, 500, 200]


class Returning(Comparing):
    """A node that should hold nothing: Catena deleted one graph there, whose contents are known."""

    def __init__(self) -> None:
        super().__init__()
        self.node.graphs = {}
        self.gone = {G: acknowledged(G)}
        for digest in ("d", "older"):
            self.former.note(G, digest)

    def returned(self) -> Iterable[str]:
        found = self.comparison.returned(self.node, lambda: self.gone, self.former)
        return [one.graph for one in found]


def test_a_deleted_graph_that_stands_there_again_is_found_by_any_of_its_contents() -> None:
    returning = Returning()
    assert returning.returned() == []
    assert returning.steps == []
    returning.node.graphs[G] = "older"
    assert returning.returned() == [G]
    assert returning.steps == ["wait", "catch up"]


def test_a_graph_of_that_name_with_other_content_is_its_owners() -> None:
    returning = Returning()
    returning.node.graphs[G] = "words of the owner"
    assert returning.returned() == []


@pytest.mark.parametrize("when", ["waits", "catches_up"])
def test_a_deleted_graph_that_is_put_there_meanwhile_has_not_returned(when: str) -> None:
    returning = Returning()
    returning.node.graphs[G] = "d"
    setattr(returning, when, returning.gone.clear)
    assert returning.returned() == []


def test_a_placement_of_unknown_content_is_not_compared() -> None:
    key = placement_key("n", G)
    known = Placement("n", G, "0xa", 3, 4, 5, "d", by_value="v")
    unknown = Placement("n", G, "0xa", 3, 4, 5, "", "refused")
    assert decode_acknowledged(key, records.to_text(known)) == AcknowledgedGraph("n", G, "0xa", 3, 4, 5, "d", "v")
    assert decode_acknowledged(key, records.to_text(unknown)) is None
