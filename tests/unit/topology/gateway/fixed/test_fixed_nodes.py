"""A gateway without Kafka checks the nodes of a list itself, and hears of each change once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.monitor import Gate, health_checks, healthy
from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from tests.helpers.waiting import eventually
from topology.gateway.fixed import fixed_nodes
from topology.gateway.fixed.fixed_nodes import FixedNodes
from topology.membership import CatalogueList, MembershipError
from topology.ring import RingView


class Listed:
    """A list of nodes in a file, and the nodes that are read from it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "nodes.json"
        self.told: list[RingView] = []
        self.nodes: FixedNodes | None = None
        self._written = 0

    def write(self, **urls: str) -> None:
        self.put(json.dumps({name: {"catalogue_url": url, "id": name} for name, url in urls.items()}))

    def put(self, text: str) -> None:
        self._written += 1
        self.file.write_text(text)
        os.utime(self.file, ns=(self._written, self._written))

    def start(self) -> FixedNodes:
        members = CatalogueList(str(self.file))
        self.nodes = FixedNodes(members, 0.02, 60, LinkLogger("Gateway"), self.told.append)
        self.nodes.start()
        return self.nodes

    @property
    def states(self) -> dict[str, str]:
        return {name: node.state for name, node in self.told[-1].nodes.items()} if self.told else {}

    def until(self, **states: str) -> None:
        eventually(lambda: self.states == states, message=lambda: f"{self.states} are not {states}")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listed]:
    monkeypatch.setattr(fixed_nodes, "_LIST_INTERVAL", 0.02)
    listed = Listed(tmp_path)
    yield listed
    if listed.nodes:
        listed.nodes.close()


@pytest.fixture
def gate(server: OddServer) -> Iterator[Gate]:
    """Give an answer that waits for the test."""
    gate = Gate()
    yield gate
    gate.opened.set()


def test_node_is_suspect_until_it_has_answered(listed: Listed, server: OddServer, gate: Gate) -> None:
    listed.write(a=healthy(server))
    server.answers["/catalogue/health"] = gate
    nodes = listed.start()

    listed.until(a="suspect")
    assert not nodes.are_checked()
    gate.opened.set()
    listed.until(a="down")
    assert nodes.are_checked()


def test_node_that_falls_silent_and_comes_back_is_told_of_once_each(listed: Listed, server: OddServer) -> None:
    listed.write(a=healthy(server))
    server.answers["/catalogue/sparql"] = saying_json({"boolean": False})
    nodes = listed.start()
    listed.until(a="up")
    first = nodes.ring.nodes["a"].since
    server.answers["/catalogue/health"] = saying(b"", 503)
    listed.until(a="down")
    server.answers["/catalogue/health"] = saying()
    listed.until(a="up")
    checks = health_checks(server)
    eventually(lambda: health_checks(server) >= checks + 3)

    told = [[node.state for node in view.nodes.values()] for view in listed.told]
    assert told == [["suspect"], ["up"], ["down"], ["up"]]
    assert nodes.ring.nodes["a"].since > first, "it may have changed while it was away"
    assert nodes.ring is listed.told[-1]


def test_node_that_hangs_holds_up_no_other(listed: Listed, server: OddServer, gate: Gate) -> None:
    server.answers["/hung/health"] = gate
    listed.write(hung=f"{server.url}/hung", a=healthy(server), nowhere=f"http://127.0.0.1:{closed_port()}/catalogue")
    listed.start()

    listed.until(hung="suspect", a="up", nowhere="down")


def test_node_that_leaves_the_list_is_asked_no_more(listed: Listed, server: OddServer) -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}/catalogue"
    listed.write(a=healthy(server), b=nowhere)
    nodes = listed.start()
    listed.until(a="up", b="down")
    listed.write(b=nowhere)
    listed.until(b="down")

    assert set(nodes._checked) == {member for member in nodes._members if member.id == "b"}


def test_list_that_is_broken_leaves_the_nodes_as_they_are_and_is_logged_once(
    listed: Listed, server: OddServer, caplog: pytest.LogCaptureFixture
) -> None:
    listed.write(a=healthy(server))
    listed.start()
    listed.until(a="up")
    reads: list[Callable[..., object]] = []
    members = CatalogueList.members
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CatalogueList, "members", lambda self: (reads.append(members), members(self))[1])
        listed.put("{")
        eventually(lambda: len(reads) > 5)

    assert listed.states == {"a": "up"}
    assert sum("the nodes stay as they are" in record.message for record in caplog.records) == 1


def test_list_that_is_broken_from_the_start_is_an_error(listed: Listed) -> None:
    listed.put("{")
    with pytest.raises(MembershipError):
        listed.start()


def test_close_ends_all_checks(listed: Listed, server: OddServer, gate: Gate) -> None:
    url = healthy(server)
    listed.write(a=url)
    nodes = listed.start()
    listed.until(a="up")
    server.answers["/catalogue/health"] = gate
    checks = health_checks(server)
    eventually(lambda: health_checks(server) > checks, message="no check is under way")
    told = len(listed.told)
    nodes.close()
    gate.opened.set()
    (checked,) = nodes._checked.values()
    checked._task._thread.join(120)
    nodes._reading._thread.join(120)

    assert not checked._task._thread.is_alive()
    assert not nodes._reading._thread.is_alive()
    assert len(listed.told) == told
