"""What the router writes when offerings come, change, go, or are claimed twice."""

from __future__ import annotations

import pytest

from catena_core import Electron
from tests.helpers.records import node, offering
from tests.helpers.router import GRAPHS, THREE, G, Routing, kinds, puts
from topology import topics
from topology.records import Node


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
