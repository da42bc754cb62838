"""What the router writes when it starts and when the ring changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from catena_core import Electron
from tests.helpers.records import node, offering
from tests.helpers.router import FOUR, GRAPHS, INPUTS, THREE, G, Routing, kinds, puts
from topology import records, topics
from topology.records import Node, Placement, Write, placement_key


class TestReplay:
    def restarted(self, *taken: Electron, nodes: Sequence[Node] = THREE) -> tuple[Routing, list[Write]]:
        """Another router that replays these."""
        routing = Routing(nodes)
        routing.link.assigned(INPUTS)
        for electron in taken:
            routing.driver.transform(electron)
        assert routing.driver.sent == [], "nothing before all is known"
        for partition in INPUTS:
            routing.link.replayed(partition)
        return routing, routing._read(routing.driver.sent)

    @staticmethod
    def offered(content: str = "content") -> Electron:
        return Electron("0xa", records.to_text(offering(G, content)), topic=topics.OFFERINGS)

    @staticmethod
    def placed(name: str, content: str = "content", version: int = 0) -> Electron:
        placement = Placement(name, G, "0xa", version, 1, 0, offering(G, content).digest)
        return Electron(placement_key(name, G), records.to_text(placement), topic=topics.PLACEMENTS)

    @pytest.mark.parametrize("order", [1, -1])
    def test_nothing_is_sent_for_what_stands_as_it_should(self, order: int) -> None:
        taken = [self.offered(), *(self.placed(name) for name in Routing().owners())]

        assert self.restarted(*taken[::order])[1] == []

    def test_what_is_lacking_is_sent(self) -> None:
        one, other = sorted(Routing().owners())

        assert kinds(self.restarted(self.offered(), self.placed(one))[1]) == puts(other)
        assert kinds(self.restarted(self.offered())[1]) == puts(one, other)
        assert kinds(self.restarted(self.offered("new"), self.placed(one), self.placed(other))[1]) == puts(one, other)

    def test_copies_of_what_is_gone_are_deleted(self) -> None:
        assert kinds(self.restarted(self.placed("a"), self.placed("c"))[1]) == [("delete", "a"), ("delete", "c")]

    def test_versions_go_on_from_what_was_acknowledged(self) -> None:
        """Compaction may have removed what made them rise."""
        one, other = sorted(Routing().owners())

        writes = self.restarted(self.offered("new"), self.placed(one, version=70), self.placed(other, version=40))[1]

        assert {write.version for write in writes} == {70}

    def test_a_partition_that_was_taken_away_is_another_s(self, routing: Routing) -> None:
        routing.offer()
        routing.link.revoked(INPUTS)

        assert routing.change(*FOUR) == []
        assert routing.offer(content="new") == []
        assert routing.place("a", G, None) == []

    def test_before_all_is_known_nothing_is_sent(self) -> None:
        routing = Routing()
        routing.link.assigned(INPUTS)
        routing.offer()
        routing.link.replayed(INPUTS[0])

        assert routing.change(*FOUR) == []
        assert routing.sweep() == []
        assert routing.driver.sent == []


class TestRingChanges:
    def test_a_new_node_is_filled_first_and_only_then_the_old_one_emptied(self, routing: Routing) -> None:
        routing.stand(*GRAPHS)
        before = {graph: routing.owners(graph) for graph in GRAPHS}

        writes = routing.change(*FOUR)

        moved = {graph for graph in GRAPHS if routing.owners(graph) != before[graph]}
        assert moved
        assert {write.graph for write in writes} == moved
        assert {(write.kind, write.node) for write in writes} == {("put", "d")}
        for write in writes:
            (delete,) = routing.acknowledge(write)
            assert (delete.kind, delete.graph) == ("delete", write.graph)
            assert {delete.node} == before[write.graph] - routing.owners(write.graph)
            assert routing.acknowledge(delete) == []

    def test_no_copy_is_deleted_before_every_owner_has_the_current_one(self) -> None:
        routing = Routing(THREE, replicas=2)
        routing.assign()
        routing.stand()
        new = [node("x"), node("y")]

        writes = routing.change(*THREE, *new, node("z"), node("w"))
        if len(writes) < 2:
            writes = routing.change(*(node(name, "down") for name in "abc"), *new)
        assert all(write.kind == "put" for write in writes)
        *first, last = writes
        assert routing.acknowledge(*first) == []

        assert {write.kind for write in routing.acknowledge(last)} <= {"delete"}

    def test_a_node_that_leaves_has_its_graphs_put_elsewhere(self, routing: Routing) -> None:
        routing.stand(*GRAPHS)
        lost = {graph for graph in GRAPHS if "c" in routing.owners(graph)}

        writes = routing.change(*THREE[:2])

        assert {write.graph for write in writes} == lost
        assert all(write.kind == "put" and write.node in "ab" for write in writes)
        assert routing.acknowledge(*writes) == [], "nothing is asked of a node that is no member"

    def test_a_suspect_node_is_asked_nothing_and_loses_nothing(self, routing: Routing) -> None:
        routing.stand(*GRAPHS)
        silent = [node("a"), node("b", "suspect"), node("c")]

        assert routing.change(*silent) == []
        writes = [write for graph in GRAPHS for write in routing.offer(graph, "new", f"0x{GRAPHS.index(graph)}")]

        assert "b" not in {write.node for write in writes}
        assert not any(write.kind == "delete" for write in routing.acknowledge(*writes))
        assert {write.node for write in routing.change(*THREE)} == {"b"}, "it gets what it has missed"

    def test_a_down_node_s_graphs_go_to_others_and_come_back(self, routing: Routing) -> None:
        routing.stand(*GRAPHS)
        before = {graph: routing.owners(graph) for graph in GRAPHS}
        down = [node("a"), node("b", "down"), node("c")]

        moved = routing.change(*down)

        assert {write.graph for write in moved} == {graph for graph in GRAPHS if "b" in before[graph]}
        assert routing.acknowledge(*moved) == []
        back = routing.change(*THREE)
        assert all(write.kind == "delete" for write in back), "it still has its copies, so the others are let go"
        assert {(write.graph, write.node) for write in back} == {(write.graph, write.node) for write in moved}

    def test_a_write_under_way_to_a_node_that_fell_silent_is_sent_again_when_it_is_back(self, routing: Routing) -> None:
        routing.offer()
        name = min(routing.owners())

        routing.change(*(node(one.id, "suspect" if one.id == name else "up") for one in THREE))

        assert kinds(routing.change(*THREE)) == puts(name)

    def test_there_and_back_again_a_copy_that_is_being_deleted_does_not_count(self) -> None:
        """With one copy of each, the graph would be gone from everywhere for a while."""
        routing = Routing(THREE, replicas=1)
        routing.assign()
        routing.stand(*GRAPHS)
        deletes = routing.acknowledge(*routing.change(*FOUR))
        assert deletes

        writes = routing.change(*THREE)

        assert kinds(writes) == kinds([write_as_put(delete) for delete in deletes])
        assert not any(write.kind == "delete" for write in writes)


def write_as_put(delete: Write) -> Write:
    return Write("put", delete.node, delete.graph, "", 0, 0, 0)
