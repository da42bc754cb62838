"""Of several monitors one leads: it takes over, publishes, is fenced or relieved, and goes on from the last ring."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import CatenaError
from tests.helpers.environment import Environment
from tests.helpers.monitor import PLACE, Clock, Watching, health_checks, healthy, seen
from tests.helpers.odd_server import OddServer, saying
from tests.helpers.records import node as a_node
from tests.helpers.records import ring
from topology import records, topics
from topology.records import RING_KEY, Node, Ring
from topology.ring_publisher import FencedError, NotPublishedError


class FakePublisher:
    """Publishes, or says why not."""

    def __init__(self) -> None:
        self.error: CatenaError | None = None
        self.taken_over = 0
        self.published: list[Ring] = []

    def take_over(self) -> None:
        self.taken_over += 1

    def publish(self, one: Ring) -> None:
        if self.error is not None:
            raise self.error
        self.published.append(one)


class TestPublishing:
    @pytest.fixture
    def publishing(
        self, started: Any, write_list: Any, server: OddServer, clock: Clock
    ) -> tuple[Watching, FakePublisher]:
        write_list(a=healthy(server))
        watching, publisher = started(leads=False), FakePublisher()
        watching.link._publisher = publisher
        watching.lead()
        return watching, publisher

    def test_one_that_leads_takes_over_first(self, publishing: tuple[Watching, FakePublisher]) -> None:
        watching, publisher = publishing
        watching.until(lambda: publisher.published)

        assert (publisher.taken_over, [one.epoch for one in publisher.published]) == (1, [1])

    def test_one_that_cannot_publish_takes_over_again_and_publishes_the_same_epoch(
        self, publishing: tuple[Watching, FakePublisher], clock: Clock
    ) -> None:
        watching, publisher = publishing
        publisher.error = NotPublishedError("no answer")
        for _ in range(2):
            watching.until(lambda: not watching.link._leading.is_set())
            clock.now += 1
            watching.until(lambda: watching.link._leading.is_set())
        assert publisher.taken_over == 3
        publisher.error = None
        watching.until(lambda: publisher.published)

        assert publisher.published[0].epoch == 1

    def test_one_that_was_fenced_leaves_the_other_alone_and_goes_on_from_its_ring(
        self, publishing: tuple[Watching, FakePublisher], clock: Clock
    ) -> None:
        watching, publisher = publishing
        publisher.error = FencedError("another one publishes")
        watching.until(lambda: not watching.link._leading.is_set())
        clock.now += 14
        watching.rounds(2)
        assert publisher.taken_over == 1
        watching.driver.put(topics.RING, RING_KEY, records.to_text(Ring(5, (a_node("z"),), 150, 2)))
        publisher.error = None
        clock.now += 1

        watching.until(lambda: publisher.published)

        assert (publisher.taken_over, publisher.published[0].epoch) == (2, 6)

    def test_one_that_was_fenced_and_relieved_does_not_come_back(
        self, publishing: tuple[Watching, FakePublisher], clock: Clock
    ) -> None:
        watching, publisher = publishing
        publisher.error = FencedError("another one publishes")
        watching.until(lambda: not watching.link._leading.is_set())
        watching.link.revoked([PLACE])
        clock.now += 1000
        watching.rounds(2)

        assert publisher.taken_over == 1


class TestLeading:
    def test_one_that_stands_by_asks_and_publishes_nothing(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        write_list(a=healthy(server))
        watching = started(leads=False)
        watching.rounds(2)

        assert watching.rings == []
        assert server.asked == []

    def test_one_that_takes_over_goes_on_from_the_ring_that_stands(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started(Ring(7, (seen("a", url, "up", 3),), 150, 2))
        watching.until(lambda: health_checks(server) > 2)
        assert watching.rings == [], "nothing has changed"

        server.answers["/catalogue/health"] = saying(b"", 500)
        watching.until(lambda: watching.states == {"a": "suspect"})

        assert watching.rings[0].epoch == 8
        assert watching.rings[0].nodes[0].since == 3

    def test_one_that_takes_over_grants_a_silent_node_its_grace_again(
        self, started: Any, write_list: Any, nowhere: str
    ) -> None:
        write_list(a=nowhere)
        watching = started(Ring(7, (Node("a", nowhere, "up", 3),), 150, 2))
        watching.until(lambda: watching.rings)

        assert watching.states == {"a": "suspect"}

    def test_a_change_of_the_settings_is_a_change_of_the_ring(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        environment(OFFERING_REPLICA_COUNT="4")
        watching = started(Ring(7, (seen("a", url, "up", 3),), 150, 2))
        watching.until(lambda: watching.rings)

        assert (watching.rings[0].epoch, watching.rings[0].replicas) == (8, 4)

    def test_one_that_is_relieved_stops(self, started: Any, write_list: Any, server: OddServer) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.rings)
        watching.link.revoked([PLACE])
        server.answers["/catalogue/health"] = saying(b"", 500)
        watching.rounds(3)

        assert len(watching.rings) == 1

    def test_back_again_it_goes_on_from_what_the_other_published(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started()
        watching.until(lambda: watching.rings)
        watching.link.revoked([PLACE])
        watching.lead(Ring(9, (seen("a", url, "down", 1),), 150, 2))
        watching.until(lambda: len(watching.rings) == 2)

        assert (watching.rings[1].epoch, watching.states) == (10, {"a": "up"})

    def test_what_it_has_read_is_never_older_than_what_it_knows(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started(Ring(9, (seen("a", url, "up", 1),), 150, 2))
        watching.driver.transform(Electron(RING_KEY, records.to_text(ring(3, [a_node("z")])), topic=topics.RING))
        watching.until(lambda: health_checks(server) > 2)

        assert watching.rings == []
