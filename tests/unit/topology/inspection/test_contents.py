"""Edited graphs are found and repaired; graphs that a backup brought back are deleted again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from catena_core import Electron
from tests.helpers.inspection import GRAPHS, Inspecting
from topology import inspection, records, topics
from topology.clients.http import WebError
from topology.comparison import AcknowledgedGraph
from topology.records import Node, Placement


class TestContents:
    def test_edited_graph_is_found_within_ten_rounds(self, inspecting: Inspecting) -> None:
        graphs = [f"https://p.example/{number:04}" for number in range(2000)]
        inspecting.acknowledge(*graphs)
        edited = {graphs[7], graphs[999], graphs[1999]}
        inspecting.store.graphs |= dict.fromkeys(edited, "by hand")

        found = [inspecting.inspect()[1] for _ in range(10)]

        assert set().union(*found) == edited
        assert sum(map(len, found)) == 3, "each once"

    def test_node_that_comes_up_from_an_old_backup_is_repaired_in_one_round(self, inspecting: Inspecting) -> None:
        graphs = [f"https://p.example/{number:04}" for number in range(2000)]
        inspecting.acknowledge(*graphs)
        since_backup = graphs[::50]
        inspecting.acknowledge(*since_backup, digest="newer")
        inspecting.store.graphs |= dict.fromkeys(since_backup, "d")
        inspecting.node = msgspec.structs.replace(inspecting.node, since=2)

        assert inspecting.inspect()[1] == set(since_backup)

    def test_small_node_is_read_whole_in_each_round(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs |= dict.fromkeys(GRAPHS, "old backup")

        assert inspecting.inspect()[1] == set(GRAPHS)
        assert inspecting.inspect()[1] == set()

    def test_form_of_the_node_s_own_is_sent_again_once_and_then_told(
        self, inspecting: Inspecting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        put = inspecting.acknowledge
        monkeypatch.setattr(  # the node writes the literals of this graph in its own way
            inspecting,
            "acknowledge",
            lambda graph, **more: (put(graph, **more), inspecting.store.graphs.update({GRAPHS[0]: "01 as 1"})),
        )
        inspecting.store.graphs[GRAPHS[0]] = "01 as 1"

        rounds = [inspecting.inspect() for _ in range(5)]

        assert [altered for _, altered, _ in rounds] == [{GRAPHS[0]}, set(), set(), set(), set()]
        assert [said.own_form for *_, said in rounds] == [0, 1, 1, 1, 1]

    def test_edit_is_warned_of_once_it_is_repaired_and_a_form_of_the_node_s_own_is_not(
        self, inspecting: Inspecting, caplog: pytest.LogCaptureFixture
    ) -> None:
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs[GRAPHS[0]] = "by hand"
        inspecting.inspect()
        assert not [line for line in caplog.records if line.levelname == "WARNING"]

        inspecting.inspect()
        inspecting.inspect()

        (warning,) = [line for line in caplog.records if line.levelname == "WARNING"]
        assert GRAPHS[0] in warning.getMessage()

    @pytest.mark.parametrize("keeps_by_value", [False, True])
    def test_earlier_content_is_no_form_of_the_node_s_own_and_sent_again_less_and_less_often(
        self, inspecting: Inspecting, keeps_by_value: bool
    ) -> None:
        """The node says that it has stored the newer content, and stores nothing."""
        inspecting.acknowledge(*GRAPHS)
        inspecting.store.graphs[GRAPHS[3]] = "of-the-node" if keeps_by_value else "old"
        inspecting.store.by_value["of-the-node"] = "old"
        inspecting.former.note(GRAPHS[3], "old")
        inspecting.stores_puts = False

        rounds = [inspecting.inspect() for _ in range(8)]

        assert [bool(altered) for _, altered, _ in rounds] == [True, True, False, True, False, False, False, True]
        assert [said.own_form for *_, said in rounds] == [0] * 8
        inspecting.stores_puts = True
        for _ in range(8):
            inspecting.inspect()
        assert inspecting.store.graphs[GRAPHS[3]] == "d"

    def test_the_same_edit_is_repaired_each_time(self, inspecting: Inspecting) -> None:
        inspecting.acknowledge(*GRAPHS)
        for _ in range(3):
            inspecting.store.graphs[GRAPHS[0]] = "by hand"
            assert inspecting.inspect()[1] == {GRAPHS[0]}
            assert inspecting.inspect()[1] == set()


class TestOldBackups:
    """A node that was set back to an old backup holds graphs again that Catena had deleted there."""

    def delete(self, inspecting: Inspecting, graph: str) -> None:
        row = AcknowledgedGraph("n", graph, "0xa", 1, 1, 2, "d")
        inspecting.inspector.placement_changed("", row, None)
        inspecting.former.note(graph, "older")
        inspecting.store.graphs.pop(graph, None)

    @pytest.fixture
    def deleted(self, inspecting: Inspecting) -> str:
        inspecting.acknowledge(*GRAPHS)
        inspecting.inspect()
        self.delete(inspecting, GRAPHS[3])
        inspecting.repairs = False
        return GRAPHS[3]

    def test_returned_graph_of_a_node_that_lost_others_is_compared_once_more(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"
        del inspecting.store.graphs[GRAPHS[5]]

        lost, unknown, _ = inspecting.inspect()

        assert (lost, unknown) == ({GRAPHS[5]}, {deleted})

    def test_returned_graph_of_a_node_that_came_up_is_compared_once_more(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)

        assert inspecting.inspect()[:2] == (set(), {deleted})

    def test_graphs_that_another_node_acknowledged_are_compared_once_more(self, inspecting: Inspecting) -> None:
        """Two nodes have exchanged their addresses, one is back under another id, or has the backup of another one."""
        for graph, content in zip(GRAPHS, ["d", "older", "its owner's"], strict=False):
            row = AcknowledgedGraph("m", graph, "0xa", 1, 1, 2, "d")
            inspecting.inspector.placement_changed("", None, row)
            inspecting.former.note(graph, "older")
            inspecting.former.note(graph, "d")
            inspecting.store.graphs[graph] = content
        inspecting.acknowledge(GRAPHS[4])
        inspecting.repairs = False

        assert inspecting.inspect()[:2] == (set(), set(GRAPHS[:2]))

    def test_look_for_returned_graphs_that_fails_is_repeated(self, inspecting: Inspecting, deleted: str) -> None:
        inspecting.store.graphs[deleted] = "older"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)
        inspecting.store.after_first_look = lambda: setattr(inspecting.store, "problem", WebError("status 503"))
        assert inspecting.inspect()[2].problem == "status 503"

        inspecting.store.problem = None

        assert inspecting.inspect()[:2] == (set(), {deleted})
        assert inspecting.inspect()[:2] == (set(), set())

    def test_altered_graph_is_reported_though_the_look_for_returned_ones_fails(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs |= {deleted: "older", GRAPHS[5]: "by hand"}
        holds = inspecting.store.holds

        def failing(graphs: Iterable[str]) -> set[str]:
            if set(graphs) == {deleted}:
                raise WebError("status 503")
            return holds(graphs)

        inspecting.store.holds = failing  # type: ignore[method-assign]

        altered = [
            records.from_text(sent.value, Placement).graph
            for sent in self.sent_by_an_inspection(inspecting)
            if sent.topic != topics.INSPECTIONS and sent.value is not None
        ]

        assert altered == [GRAPHS[5]]

    def sent_by_an_inspection(self, inspecting: Inspecting) -> list[Electron]:
        before = len(inspecting.sent)
        inspecting.inspector.inspect_node(inspecting.node)
        return inspecting.sent[before:]

    def test_graph_with_other_content_belongs_to_the_owner(self, inspecting: Inspecting, deleted: str) -> None:
        inspecting.store.graphs[deleted] = "words of the owner"
        inspecting.node = Node("n", "http://n.invalid", "up", 2)

        assert inspecting.inspect()[:2] == (set(), set())

    def test_graph_on_a_node_that_shows_no_sign_of_a_restart_belongs_to_the_owner(
        self, inspecting: Inspecting, deleted: str
    ) -> None:
        inspecting.store.graphs[deleted] = "older"

        assert inspecting.inspect()[:2] == (set(), set())

    def test_deleted_graphs_are_remembered_in_bounds(
        self, inspecting: Inspecting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspection, "_GONE_KEPT", 10)
        inspecting.acknowledge(*GRAPHS)
        for graph in GRAPHS:
            self.delete(inspecting, graph)

        assert len(inspecting.inspector._gone_from("n")) == 10
