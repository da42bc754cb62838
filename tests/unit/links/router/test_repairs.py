"""What the router does about copies that were lost, refused, or never acknowledged."""

from __future__ import annotations

from tests.helpers.records import node, offering
from tests.helpers.router import THREE, Clock, G, Routing, kinds, puts


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

    def test_a_write_on_which_a_node_fails_is_sent_again_after_pauses_that_grow_to_minutes(
        self, routing: Routing, clock: Clock
    ) -> None:
        failing, *others = routing.offer()
        routing.acknowledge(*others)
        pauses = []
        for _ in range(8):
            assert routing.place(failing.node, G, {"problem": "disk full", "unclaimed": True}) == []
            before = clock.now
            while not (again := routing.sweep()):
                clock.now += 5
            assert kinds(again) == puts(failing.node)
            pauses.append(clock.now - before)

        assert pauses == [20, 35, 65, 125, 245, 305, 305, 305]
        assert routing.acknowledge(failing) == []

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

    def test_it_is_sent_again_once_its_node_has_come_up_with_other_settings(self, routing: Routing) -> None:
        writes = routing.offer()
        routing.acknowledge(*writes, refused=True)
        back = writes[0].node

        sent = routing.change(*(node(one.id, since=2 if one.id == back else 0) for one in THREE))

        assert kinds(sent) == puts(back)
        assert routing.acknowledge(*sent, refused=True) == []

    def test_a_graph_of_a_node_s_owner_is_not_asked_for_again_when_the_node_comes_up(self, routing: Routing) -> None:
        for write in routing.offer():
            routing.place(write.node, G, {"refused": write.digest, "foreign": True})

        assert routing.change(*(node(one.id, since=2) for one in THREE)) == []

    def test_a_refused_delete_is_sent_again_once_its_node_has_come_up(self, routing: Routing) -> None:
        routing.stand()
        deletes = routing.withdraw("0x0")
        routing.acknowledge(*deletes, refused=True)

        assert kinds(routing.change(*(node(one.id, since=2) for one in THREE))) == kinds(deletes)

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
