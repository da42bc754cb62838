"""What goes where: puts to the owners, deletes only once they have their copies, and nothing for what is as it should be.

What comes of it in the long run, on nodes and topics that misbehave, test_simulation.py shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links import router as router_module
from links.router import Router
from tests.helpers.records import node, offering, ring
from topology import records, topics
from topology.records import REFUSED_DELETE, RING_KEY, Node, Offering, Placement, Write, placement_key
from topology.ring import RingView

G = "https://p.example/1"
GRAPHS = [f"https://p.example/{number}" for number in range(40)]
THREE = [node("a"), node("b"), node("c")]
FOUR = [*THREE, node("d")]
INPUTS = [(topics.OFFERINGS, 0), (topics.PLACEMENTS, 0)]


class Routing:
    """A router, and nodes that acknowledge what a test lets them."""

    def __init__(self, nodes: Sequence[Node] = THREE, replicas: int = 2) -> None:
        self.replicas = replicas
        self.epoch = 1
        self.nodes = nodes
        self.link = Router()
        self.driver = LinkDriver(
            self.link, tables={topics.RING: {RING_KEY: records.to_text(self.ring)}} if nodes else None
        )

    @property
    def ring(self) -> Any:
        return ring(self.epoch, self.nodes, self.replicas)

    def owners(self, graph: str = G) -> set[str]:
        return set(RingView(self.ring).owners(graph))

    def assign(self) -> list[Write]:
        return self._read(self.driver.assign(*INPUTS))

    def change(self, *nodes: Node) -> list[Write]:
        """Publish a new ring."""
        self.epoch += 1
        self.nodes = nodes
        return self._read(self.driver.put(topics.RING, RING_KEY, records.to_text(self.ring)))

    def offer(self, graph: str = G, content: str = "content", address: str = "0xa", claimed_at: int = 1) -> list[Write]:
        return self.take(topics.OFFERINGS, address, offering(graph, content, claimed_at))

    def withdraw(self, address: str = "0xa") -> list[Write]:
        return self.take(topics.OFFERINGS, address, None)

    def acknowledge(self, *writes: Write, refused: bool = False) -> list[Write]:
        """Have the nodes do as they were asked, or refuse."""
        found = []
        for write in writes:
            answer = {"refused": write.digest or REFUSED_DELETE} if refused else {"digest": write.digest}
            is_gone = write.kind == "delete" and not refused
            found += self.place(write.node, write.graph, None if is_gone else answer, write.version)
        return found

    def place(self, name: str, graph: str, answer: dict[str, Any] | None, version: int = 0) -> list[Write]:
        placement = None if answer is None else Placement(name, graph, "0xa", version, self.epoch, 0, **answer)
        return self.take(topics.PLACEMENTS, placement_key(name, graph), placement)

    def take(self, topic: str, key: str, record: Offering | Placement | None) -> list[Write]:
        value = None if record is None else records.to_text(record)
        return self._read(self.driver.transform(Electron(key, value, topic=topic, partition=0)))

    def stand(self, *graphs: str) -> None:
        """Bring graphs to their owners."""
        for number, graph in enumerate(graphs or (G,)):
            assert self.acknowledge(*self.offer(graph, address=f"0x{number}")) == []

    def sweep(self) -> list[Write]:
        before = len(self.driver.sent)
        self.link._sweep()
        return self._read(self.driver.sent[before:])

    def _read(self, electrons: Sequence[Electron]) -> list[Write]:
        writes = [records.from_text(electron.value, Write) for electron in electrons]
        for electron, write in zip(electrons, writes, strict=True):
            assert electron.topic == topics.writes_topic(write.node).name
            assert electron.key == write.graph
            assert write.epoch == self.epoch
        return writes


@pytest.fixture(autouse=True)
def _no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Router, "loop", lambda *_, **__: None)


@pytest.fixture
def routing() -> Routing:
    routing = Routing()
    routing.assign()
    return routing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(router_module, "time", clock)
    yield clock


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def kinds(writes: Sequence[Write]) -> list[tuple[str, str]]:
    return sorted((write.kind, write.node) for write in writes)


def puts(*names: str) -> list[tuple[str, str]]:
    return sorted(("put", name) for name in names)


class TestOfferings:
    def test_one_goes_to_its_owners_and_to_nobody_else(self, routing: Routing) -> None:
        for number, graph in enumerate(GRAPHS):
            writes = routing.offer(graph, address=f"0x{number}")

            assert kinds(writes) == puts(*routing.owners(graph))
            assert len(writes) == 2

    def test_it_goes_whole(self, routing: Routing) -> None:
        for write in routing.offer(content="the\u2028content"):
            assert (write.graph, write.triples, write.address) == (G, "the\u2028content", "0xa")
            assert write.digest == offering(G, "the\u2028content").digest

    def test_with_one_node_it_goes_there(self) -> None:
        routing = Routing([node("a")])
        routing.assign()

        assert kinds(routing.offer()) == puts("a")

    @pytest.mark.parametrize("nodes", [[], [node("a", "down")]])
    def test_without_nodes_it_waits_for_them(self, nodes: list[Node]) -> None:
        routing = Routing(nodes)
        routing.assign()

        assert routing.offer() == []
        assert kinds(routing.change(*THREE)) == puts(*routing.owners())

    def test_nothing_is_sent_for_what_stands_as_it_should(self, routing: Routing) -> None:
        routing.stand()

        assert routing.offer(address="0x0") == []
        assert routing.sweep() == []
        assert routing.change(*THREE) == []

    def test_nothing_is_sent_twice_while_it_is_under_way(self, routing: Routing) -> None:
        routing.offer()

        assert routing.offer() == []
        assert routing.change(*THREE) == []

    def test_a_changed_description_goes_to_all_owners(self, routing: Routing) -> None:
        routing.stand()

        writes = routing.offer(content="new", address="0x0")

        assert kinds(writes) == puts(*routing.owners())
        assert routing.acknowledge(*writes) == []

    def test_a_later_write_has_a_higher_version(self, routing: Routing) -> None:
        old = routing.offer()
        new = routing.offer(content="new")

        assert min(write.version for write in new) > max(write.version for write in old)

    def test_an_acknowledgement_of_the_old_is_none_of_the_new(self, routing: Routing) -> None:
        old = routing.offer()
        new = routing.offer(content="new")

        assert routing.acknowledge(*old) == []
        assert routing.acknowledge(*new) == []
        assert routing.sweep() == []

    def test_there_and_back_again_before_anything_was_acknowledged(self, routing: Routing) -> None:
        """What a node held when it was last heard of is not what it will hold."""
        routing.stand()
        routing.offer(content="new", address="0x0")

        assert kinds(routing.offer(content="content", address="0x0")) == puts(*routing.owners())

    def test_a_record_that_is_none_changes_nothing(self, routing: Routing) -> None:
        routing.stand()

        with pytest.raises(ValueError, match="Object missing"):
            routing.driver.transform(Electron("0x0", "{}", topic=topics.OFFERINGS))
        assert routing.change(*THREE) == []


class TestGone:
    def test_a_tombstone_deletes_every_copy(self, routing: Routing) -> None:
        routing.stand()

        writes = routing.withdraw("0x0")

        assert kinds(writes) == sorted(("delete", name) for name in routing.owners())
        assert routing.acknowledge(*writes) == []
        assert routing.sweep() == []
        assert routing.link._partitions[0].graphs == {}, "it is forgotten"

    def test_a_copy_that_arrives_afterwards_is_deleted_too(self, routing: Routing) -> None:
        writes = routing.offer()
        assert routing.withdraw() == []

        assert kinds(routing.acknowledge(*writes)) == sorted(("delete", name) for name in routing.owners())

    def test_a_delete_is_newer_than_what_it_deletes(self, routing: Routing) -> None:
        """Else a writer would take it for a leftover of another router."""
        routing.stand()
        under_way = routing.offer(content="new", address="0x0")

        deletes = routing.withdraw("0x0")

        assert min(write.version for write in deletes) > max(write.version for write in under_way)

    def test_a_delete_of_a_copy_that_came_back_is_newer_than_the_delete_before(self, routing: Routing) -> None:
        routing.stand()
        deletes = routing.withdraw("0x0")
        routing.acknowledge(*deletes)

        again = routing.place("a", G, {"in_doubt": True}, version=deletes[0].version - 1)

        assert kinds(again) == [("delete", "a")]
        assert again[0].version >= deletes[0].version

    def test_what_comes_back_is_put_again_after_the_delete(self, routing: Routing) -> None:
        routing.stand()
        deletes = routing.withdraw("0x0")

        again = routing.offer(address="0x0")

        assert kinds(again) == puts(*routing.owners())
        assert min(write.version for write in again) > max(write.version for write in deletes)

    def test_a_tombstone_of_nobody_is_nothing(self, routing: Routing) -> None:
        assert routing.withdraw("0xunknown") == []

    def test_an_offering_with_another_iri_leaves_the_old_graph(self, routing: Routing) -> None:
        routing.stand(G)

        writes = routing.offer("https://p.example/other", address="0x0")

        assert kinds([write for write in writes if write.graph == G]) == sorted(("delete", n) for n in routing.owners())
        assert kinds([write for write in writes if write.graph != G]) == puts(
            *routing.owners("https://p.example/other")
        )


class TestTwoClaims:
    """One offering cannot overwrite another's graph."""

    def test_the_second_does_not_overwrite_the_first(self, routing: Routing) -> None:
        routing.stand()

        assert routing.offer(content="other", address="0xb", claimed_at=2) == []

    def test_whichever_is_heard_of_first(self, routing: Routing) -> None:
        routing.offer(content="second", address="0xb", claimed_at=2)

        writes = routing.offer(content="first", address="0xa", claimed_at=1)

        assert {write.triples for write in writes} == {"first"}

    def test_the_second_takes_over_when_the_first_is_gone(self, routing: Routing) -> None:
        routing.offer(content="second", address="0xb", claimed_at=2)
        first = routing.offer(content="first", address="0xa", claimed_at=1)
        routing.acknowledge(*first)

        writes = routing.withdraw("0xa")

        assert kinds(writes) == puts(*routing.owners())
        assert {(write.triples, write.address) for write in writes} == {("second", "0xb")}
        assert min(write.version for write in writes) > max(write.version for write in first), "or writers drop it"

    def test_the_same_content_need_not_move(self, routing: Routing) -> None:
        routing.stand()
        routing.offer(address="0xb", claimed_at=2)

        assert routing.withdraw("0x0") == []
        assert len(routing.withdraw("0xb")) == 2


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


class TestLost:
    def test_a_copy_that_a_node_has_lost_is_put_again(self, routing: Routing) -> None:
        routing.stand()
        name = min(routing.owners())

        assert kinds(routing.place(name, G, None)) == puts(name)

    def test_a_node_that_failed_on_a_write_is_asked_again_later(self, routing: Routing, clock: Clock) -> None:
        one, _ = routing.offer()

        assert routing.place(one.node, G, {}) == []
        clock.now += 1000
        assert one.node in {write.node for write in routing.sweep()}

    def test_what_a_node_may_hold_is_deleted_there(self, routing: Routing) -> None:
        one, other = routing.offer()
        routing.acknowledge(one)
        routing.place(other.node, G, {})

        assert kinds(routing.withdraw()) == sorted(("delete", write.node) for write in (one, other))

    def test_a_copy_in_the_wrong_place_is_deleted_once_the_right_ones_stand(self, routing: Routing) -> None:
        (wrong,) = set("abc") - routing.owners()
        writes = routing.offer()

        assert routing.place(wrong, G, {"digest": offering(G).digest}) == []
        assert kinds(routing.acknowledge(*writes)) == [("delete", wrong)]

    def test_a_node_may_have_a_space_in_its_name(self) -> None:
        routing = Routing([node("node 1"), node("node 2")])
        routing.assign()
        writes = routing.offer()

        assert {write.node for write in writes} == {"node 1", "node 2"}
        assert routing.acknowledge(*writes) == []
        assert kinds(routing.withdraw()) == [("delete", "node 1"), ("delete", "node 2")]


class TestRefused:
    def test_it_is_not_sent_again_until_it_changes(self, routing: Routing, clock: Clock) -> None:
        writes = routing.offer()

        assert routing.acknowledge(*writes, refused=True) == []
        clock.now += 1e6
        assert routing.sweep() == []
        assert routing.change(*THREE) == []
        assert kinds(routing.offer(content="new")) == puts(*routing.owners())

    def test_a_copy_elsewhere_stays_while_an_owner_refuses(self, routing: Routing) -> None:
        (former,) = set("abc") - routing.owners()
        one, other = routing.offer()
        routing.place(former, G, {"digest": offering(G).digest})

        assert routing.acknowledge(one) == []
        assert routing.acknowledge(other, refused=True) == []

    def test_what_it_held_before_is_deleted_when_the_offering_is_gone(self, routing: Routing) -> None:
        routing.stand()
        routing.acknowledge(*routing.offer(content="new", address="0x0"), refused=True)

        assert len(routing.withdraw("0x0")) == 2

    def test_a_refused_delete_is_not_sent_again_and_again(self, routing: Routing, clock: Clock) -> None:
        routing.stand()
        deletes = routing.withdraw("0x0")

        assert routing.acknowledge(*deletes, refused=True) == []
        clock.now += 1e6
        assert routing.sweep() == []

    def test_after_a_refused_delete_the_graph_may_come_back(self, routing: Routing) -> None:
        routing.stand()
        routing.acknowledge(*routing.withdraw("0x0"), refused=True)

        assert kinds(routing.offer()) == puts(*routing.owners())


class TestPatience:
    def test_an_unacknowledged_write_is_sent_again_after_a_while_and_then_less_and_less_often(
        self, routing: Routing, clock: Clock
    ) -> None:
        first = routing.offer()
        sent_at = []
        for clock.now in range(0, 1000, 5):
            if again := routing.sweep():
                assert kinds(again) == kinds(first)
                sent_at.append(clock.now)

        assert sent_at == [125, 370, 855]

    def test_only_the_one_that_is_lacking(self, routing: Routing, clock: Clock) -> None:
        one, other = routing.offer()
        routing.acknowledge(one)
        clock.now = 1000

        assert kinds(routing.sweep()) == puts(other.node)

    def test_a_delete_too(self, routing: Routing, clock: Clock) -> None:
        routing.stand()
        deletes = routing.withdraw("0x0")
        clock.now = 1000

        assert kinds(routing.sweep()) == kinds(deletes)
