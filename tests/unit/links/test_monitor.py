"""Watching the nodes: a ring once all were asked, an epoch for each change, and no node that holds up another."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import CatenaError
from catena_core.testing import LinkDriver
from links import monitor
from links.monitor import Monitor
from tests.helpers.odd_server import Handler, OddServer, closed_port, odd_server, saying, saying_json
from tests.helpers.records import node as a_node
from tests.helpers.records import offering, ring
from tests.helpers.sandbox_servers import Sandbox
from tests.unit.links.conftest import Environment
from topology import hold_down, records, topics
from topology.membership import MembershipError
from topology.records import RING_KEY, Drain, Endpoints, Node, Ring
from topology.ring_publisher import FencedError, NotPublishedError

PLACE = (topics.RING, 0)


class Watching:
    """A monitor that runs, and the rings that it has published."""

    def __init__(self, before: Ring | None = None, leads: bool = True, **rows: Any) -> None:
        self.link = Monitor()
        self.driver = LinkDriver(self.link, tables={topics.OFFERINGS: rows})
        if leads:
            self.lead(before)

    def lead(self, before: Ring | None = None) -> None:
        self.link.assigned([PLACE])
        if before is not None:
            self.driver.transform(Electron(RING_KEY, records.to_text(before), topic=topics.RING))
        self.link.replayed(PLACE)

    @property
    def rings(self) -> list[Ring]:
        for electron in self.driver.sent:
            assert (electron.topic, electron.key) == (topics.RING, RING_KEY)
        return [records.from_text(electron.value, Ring) for electron in self.driver.sent]

    @property
    def states(self) -> dict[str, str]:
        return {node.id: node.state for node in self.rings[-1].nodes} if self.rings else {}

    @property
    def urls(self) -> set[str]:
        return {node.url for node in self.rings[-1].nodes} if self.rings else set()

    def until(self, condition: Callable[[], Any], seconds: float = 120) -> None:
        """Watch until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"the ring is {self.states}"
            self.driver.generate()

    def rounds(self, number: int) -> None:
        """Let the generator come round so many times."""
        for _ in range(number):
            self.driver.generate()


@pytest.fixture
def started(environment: Environment) -> Iterator[Callable[..., Watching]]:
    """Give a function that starts monitors, which are stopped in the end."""
    # No check of a slow machine runs out of time, and no node is down before a test says so.
    environment(NODE_HEALTH_CHECK_INTERVAL="0.05", NODE_TIMEOUT="60", NODE_GRACE_PERIOD="600")
    running: list[Watching] = []

    def start(*arguments: Any, **more: Any) -> Watching:
        running.append(Watching(*arguments, **more))
        return running[-1]

    yield start
    for watching in running:
        watching.link.finish()


@pytest.fixture
def write_list(environment: Environment, tmp_path: Path) -> Callable[..., None]:
    """Give a function that writes the list of nodes, whose addresses it is given by their ids."""
    file = tmp_path / "nodes.json"
    written = 0

    def write(**urls: str) -> None:
        nonlocal written
        written += 1
        file.write_text(json.dumps({name: {"catalogue_url": url, "id": name} for name, url in urls.items()}))
        os.utime(file, ns=(written, written))

    environment(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(file))
    return write


class Clock:
    """The monitor's time, which the test moves; checks and publications go by it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    @staticmethod
    def time() -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(monitor, "time", clock)
    return clock


class Gate:
    """Holds a server's answer back until it is opened, and says then that the server is not well."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, request: Handler) -> None:
        self.opened.wait(300)
        request.say(b"", 503)


def health_checks(server: OddServer) -> int:
    return sum(asked.path == "/catalogue/health" for asked in server.asked)


@pytest.fixture
def nowhere() -> str:
    """Give the address of a node that is not there."""
    return f"http://127.0.0.1:{closed_port()}/catalogue"


def healthy(server: OddServer) -> str:
    """Let a server be a well node; its endpoint."""
    server.answers["/catalogue/health"] = saying()
    server.answers["/catalogue/graphs"] = saying_json({"offerings": []})
    server.answers["/catalogue/sparql"] = saying_json({"boolean": True})
    server.answers["/catalogue/data"] = saying(Content_Type="application/n-triples")
    return f"{server.url}/catalogue"


def seen(name: str, url: str, state: Any = "up", since: int = 1, **more: str) -> Node:
    """Make a node as a monitor publishes it that has asked it for its endpoints."""
    return Node(name, url, state, since, endpoints=Endpoints(f"{url}/sparql", **more))


def sandbox(name: str, url: str) -> Node:
    return seen(name, url, update=f"{url}/update")


class TestFirstRing:
    def test_all_nodes_and_how_offerings_are_placed_on_them(
        self, started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox], environment: Environment
    ) -> None:
        environment(OFFERING_REPLICA_COUNT="3", HASH_RING_VIRTUAL_NODES="20")
        write_list(a=nodes[0].url, b=nodes[1].url)
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.rings == [
            Ring(1, (sandbox("a", nodes[0].url), sandbox("b", nodes[1].url)), 20, 3),
        ]

    def test_it_waits_until_every_node_was_asked(
        self, started: Any, write_list: Any, node: Sandbox, server: OddServer
    ) -> None:
        server.answers["/catalogue/health"] = gate = Gate()
        write_list(quick=node.url, slow=f"{server.url}/catalogue")
        watching = started()
        watching.until(lambda: any(one.health.is_healthy for one in watching.link._watches.values()))
        watching.rounds(3)
        assert watching.rings == []

        gate.opened.set()
        watching.until(lambda: watching.rings)

        assert watching.states == {"quick": "up", "slow": "down"}
        assert len(watching.rings) == 1

    def test_a_node_that_is_not_there_is_down_at_once(self, started: Any, write_list: Any, nowhere: str) -> None:
        write_list(a=nowhere)
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.states == {"a": "down"}

    @pytest.mark.parametrize("configured", ["sedimark", "graph-store"])
    def test_how_nodes_are_written_to_may_be_configured(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment, configured: str
    ) -> None:
        environment(NODE_PROTOCOL=configured)
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.rings[0].nodes[0].protocol == configured
        assert not any(asked.path == "/catalogue/graphs" for asked in server.asked)

    def test_or_is_found_out(self, started: Any, write_list: Any, node: Sandbox, server: OddServer) -> None:
        healthy(server)
        server.answers["/catalogue/graphs"] = saying(b"", 404)
        write_list(a=node.url, b=f"{server.url}/catalogue")
        watching = started()
        watching.until(lambda: watching.rings)

        assert [one.protocol for one in watching.rings[0].nodes] == ["sedimark", "graph-store"]

    def test_not_from_a_node_that_is_in_trouble(self, started: Any, write_list: Any, server: OddServer) -> None:
        healthy(server)
        server.answers["/catalogue/graphs"] = saying(b"", 503)
        write_list(a=f"{server.url}/catalogue")
        watching = started()
        watching.until(lambda: watching.states == {"a": "down"})

        server.answers["/catalogue/graphs"] = saying_json([])
        watching.until(lambda: watching.states == {"a": "up"})

        assert watching.rings[-1].nodes[0].protocol == "sedimark"


class TestChanges:
    def test_nothing_is_published_while_nothing_changes(
        self, started: Any, write_list: Any, server: OddServer, nowhere: str
    ) -> None:
        write_list(a=healthy(server), b=nowhere)
        watching = started()
        watching.until(lambda: health_checks(server) >= 4)

        assert len(watching.rings) == 1

    def test_a_silent_node_is_suspect_then_down_and_up_again_when_it_is_back(
        self, started: Any, write_list: Any, server: OddServer, clock: Clock
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        server.answers["/catalogue/health"] = saying(b"", 503)
        clock.now += 1
        watching.until(lambda: watching.states == {"a": "suspect"})
        clock.now += 599
        watching.rounds(3)
        assert watching.states == {"a": "suspect"}
        clock.now += 60
        watching.until(lambda: watching.states == {"a": "down"})
        healthy(server)
        clock.now += 60
        watching.until(lambda: watching.states == {"a": "up"})

        assert [one.epoch for one in watching.rings] == [1, 2, 3, 4]
        assert [one.nodes[0].since for one in watching.rings] == [1, 1, 1, 4]
        assert [one.previous for one in watching.rings] == [(), *(one.nodes for one in watching.rings[:-1])]

    def test_a_short_silence_is_forgiven_but_the_node_is_looked_at(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        server.answers["/catalogue/health"] = saying(b"", 503)
        watching.until(lambda: watching.states == {"a": "suspect"})
        healthy(server)
        watching.until(lambda: watching.states == {"a": "up"})

        assert [one.nodes[0].state for one in watching.rings] == ["up", "suspect", "up"]
        assert watching.rings[-1].nodes[0].since == 3

    def test_the_list_is_read_again_when_it_changes(
        self, started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox]
    ) -> None:
        write_list(a=nodes[0].url)
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        write_list(a=nodes[0].url, b=nodes[1].url)
        watching.until(lambda: watching.states == {"a": "up", "b": "up"})
        write_list(b=nodes[1].url)
        watching.until(lambda: watching.states == {"b": "up"})

        assert [one.epoch for one in watching.rings] == [1, 2, 3]

    def test_a_new_node_does_not_hide_the_others_until_it_was_asked(
        self, started: Any, write_list: Any, node: Sandbox, server: OddServer
    ) -> None:
        write_list(a=node.url)
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        server.answers["/catalogue/health"] = gate = Gate()
        write_list(a=node.url, b=f"{server.url}/catalogue")
        watching.until(lambda: server.asked)
        watching.rounds(3)
        gate.opened.set()
        watching.until(lambda: "b" in watching.states)

        assert [sorted(one.id for one in each.nodes) for each in watching.rings] == [["a"], ["a", "b"]]

    def test_a_list_that_is_broken_leaves_the_nodes_as_they_are(
        self, started: Any, write_list: Any, node: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_list(a=node.url)
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})

        def said(times: int) -> bool:
            return sum("the nodes stay as they are" in line for line in caplog.messages) == times

        for number, content in enumerate(("{broken", "{}"), 1):
            (tmp_path / "nodes.json").write_text(content)
            watching.until(functools.partial(said, number))
        watching.rounds(3)

        assert len(watching.rings) == 1
        assert said(2)

    @pytest.mark.parametrize("content", ['{"a": {"id": "a"', '["http://a.example"]', "{}"])
    def test_a_list_that_is_broken_from_the_start_ends_the_monitor(
        self, started: Any, write_list: Any, tmp_path: Path, content: str
    ) -> None:
        write_list()
        (tmp_path / "nodes.json").write_text(content)

        with pytest.raises(MembershipError, match=r"nodes\.json"):
            started()

    def test_weight_that_changes_in_the_list_changes_the_ring(
        self, started: Any, write_list: Any, server: OddServer, tmp_path: Path
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        (tmp_path / "nodes.json").write_text(
            json.dumps({"a": {"catalogue_url": f"{server.url}/catalogue", "weight": 2}})
        )
        watching.until(lambda: watching.rings[-1].nodes[0].weight == 2)

        assert (watching.states, watching.rings[-1].nodes[0].since) == ({"a": "up"}, 1), "it is the same node"

    def test_a_node_that_moved_is_judged_where_it_is_now(
        self, started: Any, write_list: Any, server: OddServer, nowhere: str
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        write_list(a=nowhere)
        watching.until(lambda: watching.urls == {nowhere})

        assert [(one.nodes[0].url == nowhere, one.nodes[0].state) for one in watching.rings] == [
            (False, "up"),
            (True, "down"),
        ]

    def test_a_node_that_moved_is_compared_and_written_to_as_a_new_one(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        with odd_server() as other:
            healthy(other)
            other.answers["/catalogue/graphs"] = saying(b"", 404)
            write_list(a=f"{other.url}/catalogue")
            watching.until(lambda: watching.urls == {f"{other.url}/catalogue"})

        moved = watching.rings[1].nodes[0]
        assert (moved.state, moved.since, moved.protocol) == ("up", 2, "graph-store")


class TestFlapping:
    @pytest.fixture(autouse=True)
    def never_stable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep the past of a node that is up for long between two silences, as on a slow machine."""
        monkeypatch.setattr(hold_down, "_STABLE_INTERVALS", 100_000)

    def flap(self, watching: Watching, server: OddServer) -> None:
        server.answers["/catalogue/health"] = saying(b"", 503)
        watching.until(lambda: watching.states["a"] != "up")
        server.answers["/catalogue/health"] = saying_json({})

    def test_node_that_comes_and_goes_is_taken_up_after_growing_pauses_that_are_shown(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_HEALTH_CHECK_INTERVAL="0.1")
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        pauses = []
        for _ in range(4):
            self.flap(watching, server)
            back = time.monotonic()
            watching.until(lambda: watching.states == {"a": "up"})
            pauses.append(time.monotonic() - back)

        assert pauses[1] >= 0.1, "the second time"
        assert pauses[2] >= 0.2
        assert pauses[3] >= 0.4
        held = [one.nodes[0].held_down_until for one in watching.rings]
        assert sum(map(bool, held)) == 3, "each hold-down is published once"
        assert held[-1] == 0

    def test_node_that_flaps_while_it_is_held_down_makes_few_epochs(
        self, started: Any, write_list: Any, server: OddServer, clock: Clock
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})

        def alternate(request: Handler) -> None:
            clock.now += 0.05  # an interval for each check, however long it takes
            request.say(b"{}", 200 if len(server.asked) % 4 else 503)

        server.answers["/catalogue/health"] = alternate
        clock.now += 0.05
        watching.until(lambda: len(server.asked) > 60)

        assert len(watching.rings) <= 20

    def test_node_that_is_held_down_beyond_its_grace_is_down(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_HEALTH_CHECK_INTERVAL="0.3", NODE_GRACE_PERIOD="0.1")
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        self.flap(watching, server)
        watching.until(lambda: watching.states == {"a": "up"})
        self.flap(watching, server)

        watching.until(lambda: watching.states == {"a": "down"})
        watching.until(lambda: watching.states == {"a": "up"})

    def test_hold_down_outlives_the_monitor(self, started: Any, write_list: Any, server: OddServer) -> None:
        url = healthy(server)
        write_list(a=url)
        until = int((time.time() + 1) * 1000)
        watching = started(Ring(7, (Node("a", url, "suspect", 3, held_down_until=until),), 150, 2))
        watching.until(lambda: watching.rings and watching.states == {"a": "up"})

        assert time.time() * 1000 >= until - 50


class TestDraining:
    @staticmethod
    def drain(watching: Watching, name: str, *, on: bool = True) -> None:
        watching.driver.put(topics.DRAINS, name, records.to_text(Drain(name, 1)) if on else None)

    def test_node_that_is_drained_is_marked_and_stays_up_until_it_is_taken_back(
        self, started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox]
    ) -> None:
        write_list(a=nodes[0].url, b=nodes[1].url)
        watching = started()
        watching.until(lambda: watching.states == {"a": "up", "b": "up"})
        self.drain(watching, "a")
        watching.until(lambda: len(watching.rings) == 2)
        self.drain(watching, "a", on=False)
        watching.until(lambda: len(watching.rings) == 3)

        assert [[one.draining for one in each.nodes] for each in watching.rings] == [
            [False, False],
            [True, False],
            [False, False],
        ]
        assert {(one.state, one.since) for each in watching.rings for one in each.nodes} == {("up", 1)}

    def test_drain_outlives_the_monitor_and_the_node_s_silence(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_GRACE_PERIOD="0.01")
        url = healthy(server)
        write_list(a=url)
        watching = started(Ring(7, (Node("a", url, "up", 3, draining=True),), 150, 2))
        self.drain(watching, "a")
        server.answers["/catalogue/health"] = saying(b"", 503)
        watching.until(lambda: watching.states == {"a": "down"})
        healthy(server)
        watching.until(lambda: watching.states == {"a": "up"})

        assert all(one.nodes[0].draining for one in watching.rings)


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


class TestHungNodes:
    def test_hung_and_trickling_nodes_hold_up_no_other(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        url = healthy(server)
        with odd_server() as hung:
            names = [f"{kind}{number}" for kind in ("hung", "trickling") for number in range(8)]
            for name in names:
                hung.answers[f"/{name}/health"] = hung.hang if name.startswith("hung") else hung.trickle
            before = [seen("ok", url), *(Node(name, f"{hung.url}/{name}", "up", 1) for name in names)]
            write_list(**{one.id: one.url for one in before})
            watching = started(Ring(1, tuple(before), 150, 2))
            watching.until(lambda: len(hung.asked) == 16)
            server.answers["/catalogue/health"] = saying(b"", 500)
            watching.until(lambda: watching.states.get("ok") == "suspect")

    def test_a_hung_node_is_not_asked_again_before_it_has_answered(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        server.answers["/catalogue/health"] = server.hang
        write_list(a=f"{server.url}/catalogue")
        watching = started()
        watching.until(lambda: server.asked)
        watching.rounds(10)

        assert len(server.asked) == 1

    def test_a_node_at_an_impossible_address_holds_up_nobody(
        self, started: Any, write_list: Any, server: OddServer, tmp_path: Path
    ) -> None:
        write_list(a=healthy(server), b="http://xn--ä" + "a" * 70 + "/catalogue", c="http://2852039166/catalogue")
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.states == {"a": "up", "b": "down", "c": "down"}

    def test_a_check_that_fails_in_an_unheard_of_way_is_a_failed_check(
        self, started: Any, write_list: Any, server: OddServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(_: object) -> bool:
            raise ZeroDivisionError

        monkeypatch.setattr("topology.node_health.NodeClient.says_healthy", explode)
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.states == {"a": "down"}


class TestModes:
    def test_centralised(self, started: Any, environment: Environment, node: Sandbox) -> None:
        origin, _, port = node.origin.rpartition(":")
        environment(CENTRALISED="1", GC_URL=origin, GC_PORT=port)
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.rings == [Ring(1, (sandbox("global-catalogue", node.url),), 150, 1)]

    @staticmethod
    def from_(provider: str, owner: str = "P") -> str:
        return records.to_text(offering("urn:g", owner=owner, source=f"{provider}/descriptions/1"))

    def test_owners(self, started: Any, nodes: tuple[Sandbox, Sandbox], server: OddServer) -> None:
        server.answers["/profile"] = saying_json({"catalogue_url": nodes[0].url})
        watching = started(**{"0xa": self.from_(server.url)})
        watching.until(lambda: watching.urls == {nodes[0].url})
        with odd_server() as other:
            other.answers["/profile"] = saying_json({"catalogue_url": nodes[1].url})
            watching.driver.put(topics.OFFERINGS, "0xb", self.from_(other.url, "Q"))
            watching.until(lambda: watching.urls == {nodes[0].url, nodes[1].url})

        assert set(watching.states.values()) == {"up"}

    def test_without_offerings_there_is_no_ring(self, started: Any) -> None:
        watching = started()
        watching.rounds(5)

        assert watching.rings == []

    def test_the_first_ring_waits_for_all_providers(
        self, started: Any, nodes: tuple[Sandbox, Sandbox], server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_URL_TEMPLATE=nodes[1].url, NODE_TIMEOUT="1.5")
        server.answers["/profile"] = saying_json({"catalogue_url": nodes[0].url})
        with odd_server() as hung:
            hung.answers["/profile"] = hung.hang
            watching = started(**{"0xa": self.from_(server.url), "0xb": self.from_(hung.url, "Q")})
            watching.until(lambda: watching.rings)

        assert len(watching.rings) == 1
        assert watching.urls == {nodes[0].url, nodes[1].url}

    def test_a_provider_that_hangs_does_not_hold_up_the_checks(
        self, started: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_URL_TEMPLATE=healthy(server))
        watching = started(**{"0xa": self.from_(server.url)})
        watching.until(lambda: watching.rings)
        with odd_server() as hung:
            hung.answers["/profile"] = hung.hang
            for number in range(10):
                watching.driver.put(topics.OFFERINGS, f"0x{number}", self.from_(hung.url, f"Q{number}"))
            server.answers["/catalogue/health"] = saying(b"", 500)
            watching.until(lambda: "suspect" in watching.states.values())

    def test_a_node_does_not_leave_because_its_owner_s_provider_is_away(
        self, started: Any, server: OddServer, environment: Environment, nowhere: str
    ) -> None:
        """Another monitor takes over just then: everything would move, and back again."""
        environment(NODE_URL_TEMPLATE=nowhere)
        url = healthy(server)
        away = f"http://127.0.0.1:{closed_port()}"
        watching = started(Ring(5, (seen(url, url),), 150, 2), **{"0xa": self.from_(away)})
        watching.until(lambda: nowhere in watching.urls)

        assert watching.urls == {url, nowhere}
        assert all(seen(url, url) in one.nodes for one in watching.rings)

    def test_a_node_whose_owner_is_gone_leaves(self, started: Any, server: OddServer) -> None:
        url = healthy(server)
        server.answers["/profile"] = saying_json({"catalogue_url": url})
        gone = Node("http://gone.invalid/catalogue", "http://gone.invalid/catalogue", "up", 1)
        watching = started(Ring(5, (seen(url, url), gone), 150, 2), **{"0xa": self.from_(server.url)})
        watching.until(lambda: watching.rings and watching.urls == {url})
