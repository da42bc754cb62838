"""Nodes that flap are held down; nodes that are drained stay up and are marked."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.helpers.environment import Environment
from tests.helpers.monitor import Clock, Watching, healthy
from tests.helpers.odd_server import Handler, OddServer, saying, saying_json
from tests.helpers.sandbox_servers import Sandbox
from topology import hold_down, records, topics
from topology.records import Drain, Node, Ring


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

    def test_hold_down_outlives_the_monitor(
        self, started: Any, write_list: Any, server: OddServer, environment: Environment
    ) -> None:
        environment(NODE_HEALTH_CHECK_INTERVAL="0.1")
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
