"""Where the monitor finds its nodes: in a list, at the owners' providers, or centralised."""

from __future__ import annotations

from typing import Any

from tests.helpers.environment import Environment
from tests.helpers.monitor import healthy, sandbox, seen
from tests.helpers.odd_server import OddServer, closed_port, odd_server, saying, saying_json
from tests.helpers.records import offering
from tests.helpers.sandbox_servers import Sandbox
from topology import records, topics
from topology.records import Node, Ring


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
