"""A monitor that a test runs: the rings that it publishes, its clock, and servers that answer when they may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.monitor import Monitor
from tests.helpers.odd_server import Handler, OddServer, saying, saying_json
from topology import records, topics
from topology.records import RING_KEY, Endpoints, Node, Ring

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


class Clock:
    """The monitor's time, which the test moves; checks and publications go by it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    @staticmethod
    def time() -> float:
        return time.time()


class Gate:
    """Holds a server's answer back until it is opened, and says then that the server is not well."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, request: Handler) -> None:
        self.opened.wait(300)
        request.say(b"", 503)


def health_checks(server: OddServer) -> int:
    return sum(asked.path == "/catalogue/health" for asked in server.asked)


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
