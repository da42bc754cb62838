"""Watching the nodes: a ring once all were asked, an epoch for each change, and no node that holds up another."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.monitor import Monitor
from tests.helpers.odd_server import OddServer, closed_port, odd_server, saying, saying_json
from tests.helpers.records import node as a_node
from tests.helpers.records import offering, ring
from tests.helpers.sandbox_servers import Sandbox
from tests.unit.links.conftest import Environment
from topology import records, topics
from topology.records import RING_KEY, Node, Ring

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

    def until(self, condition: Callable[[], Any], seconds: float = 5) -> None:
        """Watch until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"the ring is {self.states}"
            self.driver.generate()

    def during(self, seconds: float) -> None:
        """Watch for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.driver.generate()


@pytest.fixture
def started(environment: Environment) -> Iterator[Callable[..., Watching]]:
    """A function that starts monitors, which are stopped in the end."""
    environment(NODE_HEALTH_CHECK_INTERVAL="0.05", NODE_TIMEOUT="1.5", NODE_GRACE_PERIOD="0.5")
    running: list[Watching] = []

    def start(*arguments: Any, **more: Any) -> Watching:
        running.append(Watching(*arguments, **more))
        return running[-1]

    yield start
    for watching in running:
        watching.link.finish()


@pytest.fixture
def write_list(environment: Environment, tmp_path: Path) -> Callable[..., None]:
    """A function that writes the list of nodes, whose addresses it is given by their ids."""
    file = tmp_path / "nodes.json"
    written = 0

    def write(**urls: str) -> None:
        nonlocal written
        written += 1
        file.write_text(json.dumps({name: {"catalogue_url": url, "id": name} for name, url in urls.items()}))
        os.utime(file, ns=(written, written))

    environment(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(file))
    return write


@pytest.fixture
def nowhere() -> str:
    """The address of a node that is not there."""
    return f"http://127.0.0.1:{closed_port()}/catalogue"


def healthy(server: OddServer) -> str:
    """Let a server be a well node; its endpoint."""
    server.answers["/catalogue/health"] = saying()
    server.answers["/catalogue/graphs"] = saying_json({"offerings": []})
    return f"{server.url}/catalogue"


class TestFirstRing:
    def test_all_nodes_and_how_offerings_are_placed_on_them(
        self, started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox], environment: Environment
    ) -> None:
        environment(OFFERING_REPLICA_COUNT="3", HASH_RING_VIRTUAL_NODES="20")
        write_list(a=nodes[0].url, b=nodes[1].url)
        watching = started()
        watching.until(lambda: watching.rings)

        assert watching.rings == [
            Ring(1, (Node("a", nodes[0].url, "up", 1), Node("b", nodes[1].url, "up", 1)), 20, 3),
        ]

    def test_it_waits_until_every_node_was_asked(
        self, started: Any, write_list: Any, node: Sandbox, server: OddServer
    ) -> None:
        server.answers["/catalogue/health"] = server.hang
        write_list(quick=node.url, hung=f"{server.url}/catalogue")
        watching = started()
        watching.during(0.15)
        assert watching.rings == []

        watching.until(lambda: watching.rings)

        assert watching.states == {"quick": "up", "hung": "down"}
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
        watching.until(lambda: watching.rings)
        watching.during(0.3)

        assert len(watching.rings) == 1
        assert sum(asked.path == "/catalogue/health" for asked in server.asked) >= 3

    def test_a_silent_node_is_suspect_then_down_and_up_again_when_it_is_back(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        server.answers["/catalogue/health"] = saying(b"", 503)
        silent_since = time.monotonic()
        watching.until(lambda: watching.states == {"a": "suspect"})
        watching.until(lambda: watching.states == {"a": "down"})
        assert 0.4 < time.monotonic() - silent_since < 3
        healthy(server)
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
        server.answers["/catalogue/health"] = server.hang
        write_list(a=node.url, b=f"{server.url}/catalogue")
        watching.until(lambda: "b" in watching.states)

        assert [sorted(one.id for one in each.nodes) for each in watching.rings] == [["a"], ["a", "b"]]

    def test_a_list_that_is_broken_leaves_the_nodes_as_they_are(
        self, started: Any, write_list: Any, node: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_list(a=node.url)
        watching = started()
        watching.until(lambda: watching.states == {"a": "up"})
        for content in ("{broken", "{}"):
            (tmp_path / "nodes.json").write_text(content)
            watching.during(0.2)

        assert len(watching.rings) == 1
        assert len([line for line in caplog.messages if "the nodes stay as they are" in line]) == 2

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


class TestLeading:
    def test_one_that_stands_by_asks_and_publishes_nothing(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        write_list(a=healthy(server))
        watching = started(leads=False)
        watching.during(0.3)

        assert watching.rings == []
        assert server.asked == []

    def test_one_that_takes_over_goes_on_from_the_ring_that_stands(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started(Ring(7, (Node("a", url, "up", 3),), 150, 2))
        watching.during(0.3)
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
        watching = started(Ring(7, (Node("a", url, "up", 3),), 150, 2))
        watching.until(lambda: watching.rings)

        assert (watching.rings[0].epoch, watching.rings[0].replicas) == (8, 4)

    def test_one_that_is_relieved_stops(self, started: Any, write_list: Any, server: OddServer) -> None:
        write_list(a=healthy(server))
        watching = started()
        watching.until(lambda: watching.rings)
        watching.link.revoked([PLACE])
        server.answers["/catalogue/health"] = saying(b"", 500)
        watching.during(0.3)

        assert len(watching.rings) == 1

    def test_back_again_it_goes_on_from_what_the_other_published(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started()
        watching.until(lambda: watching.rings)
        watching.link.revoked([PLACE])
        watching.lead(Ring(9, (Node("a", url, "down", 1),), 150, 2))
        watching.until(lambda: len(watching.rings) == 2)

        assert (watching.rings[1].epoch, watching.states) == (10, {"a": "up"})

    def test_what_it_has_read_is_never_older_than_what_it_knows(
        self, started: Any, write_list: Any, server: OddServer
    ) -> None:
        url = healthy(server)
        write_list(a=url)
        watching = started(Ring(9, (Node("a", url, "up", 1),), 150, 2))
        watching.driver.transform(Electron(RING_KEY, records.to_text(ring(3, [a_node("z")])), topic=topics.RING))
        watching.during(0.2)

        assert watching.rings == []


class TestHungNodes:
    def test_hung_and_trickling_nodes_hold_up_no_other(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_TIMEOUT="10", NODE_GRACE_PERIOD="20")
        url = healthy(server)
        with odd_server() as hung:
            hung.answers["/h/health"] = hung.hang
            hung.answers["/t/health"] = hung.trickle
            before = [
                Node("ok", url, "up", 1),
                *(Node(f"{k}{n}", f"{hung.url}/{k}?{n}", "up", 1) for k in "ht" for n in range(8)),
            ]
            write_list(**{one.id: one.url for one in before})
            watching = started(Ring(1, tuple(before), 150, 2))
            watching.during(0.2)
            server.answers["/catalogue/health"] = saying(b"", 500)
            at = time.monotonic()
            watching.until(lambda: watching.states.get("ok") == "suspect")
            assert time.monotonic() - at < 1

    def test_a_hung_node_is_not_asked_again_before_it_has_answered(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_TIMEOUT="10", NODE_GRACE_PERIOD="20")
        server.answers["/catalogue/health"] = server.hang
        write_list(a=f"{server.url}/catalogue")
        watching = started()
        watching.during(0.4)

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

        monkeypatch.setattr("topology.node_health.NodeClient.is_healthy", explode)
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

        assert watching.rings == [Ring(1, (Node("global-catalogue", node.url, "up", 1),), 150, 1)]

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
        watching.during(0.2)

        assert watching.rings == []

    def test_the_first_ring_waits_for_all_providers(
        self, started: Any, nodes: tuple[Sandbox, Sandbox], server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_URL_TEMPLATE=nodes[1].url)
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
        environment(NODE_TIMEOUT="10", NODE_GRACE_PERIOD="20", NODE_URL_TEMPLATE=healthy(server))
        watching = started(**{"0xa": self.from_(server.url)})
        watching.until(lambda: watching.rings)
        with odd_server() as hung:
            hung.answers["/profile"] = hung.hang
            for number in range(10):
                watching.driver.put(topics.OFFERINGS, f"0x{number}", self.from_(hung.url, f"Q{number}"))
            server.answers["/catalogue/health"] = saying(b"", 500)
            at = time.monotonic()
            watching.until(lambda: "suspect" in watching.states.values())
            assert time.monotonic() - at < 1

    def test_a_node_does_not_leave_because_its_owner_s_provider_is_away(
        self, started: Any, server: OddServer, environment: Environment, nowhere: str
    ) -> None:
        """Another monitor takes over just then: everything would move, and back again."""
        environment(NODE_URL_TEMPLATE=nowhere)
        url = healthy(server)
        away = f"http://127.0.0.1:{closed_port()}"
        watching = started(Ring(5, (Node(url, url, "up", 1),), 150, 2), **{"0xa": self.from_(away)})
        watching.during(0.4)

        assert watching.urls | {url} == {url, nowhere}
        assert all(Node(url, url, "up", 1) in one.nodes for one in watching.rings)

    def test_a_node_whose_owner_is_gone_leaves(self, started: Any, server: OddServer) -> None:
        url = healthy(server)
        server.answers["/profile"] = saying_json({"catalogue_url": url})
        gone = Node("http://gone.invalid/catalogue", "http://gone.invalid/catalogue", "up", 1)
        watching = started(Ring(5, (Node(url, url, "up", 1), gone), 150, 2), **{"0xa": self.from_(server.url)})
        watching.until(lambda: watching.rings and watching.urls == {url})
