"""The ring that the monitor publishes follows its nodes: found, silent, moved, hung, and the list of them changed."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.environment import Environment
from tests.helpers.monitor import Clock, Gate, health_checks, healthy, sandbox, seen
from tests.helpers.odd_server import OddServer, odd_server, saying, saying_json
from tests.helpers.sandbox_servers import Sandbox
from topology.membership import MembershipError
from topology.records import Node, Ring


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
        assert "Failed to connect" in watching.rings[-1].nodes[0].silence

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
        silence = "it says that it is not well"
        assert [one.nodes[0].silence for one in watching.rings] == ["", silence, silence, ""]

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
