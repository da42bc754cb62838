"""The gateway's link: it serves what the topics say, and tells what is wrong when it cannot start."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from catena_core.errors import CatenaError, UsageError
from catena_core.testing import LinkDriver
from federation.view.view import Progress
from links.gateway import Gateway
from tests.helpers.environment import Environment
from tests.helpers.gateway import G, same_graph
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology import records, topics
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.gateway.api.server import port_of
from topology.records import RING_KEY, CompressedOffering, Node, Offering, Placement, Ring, placement_key

WriteList = Callable[..., Path]


@pytest.fixture
def listed(tmp_path: Path) -> WriteList:
    """Write a list of nodes, called a, b, c, …"""

    def write(*urls: str) -> Path:
        path = tmp_path / "nodes.json"
        path.write_text(json.dumps({id_: {"catalogue_url": url} for id_, url in zip("abcdef", urls, strict=False)}))
        return path

    return write


class TestLink:
    """The link around it all, with its port."""

    @pytest.fixture
    def rows(self, node: Sandbox) -> dict[str, dict[str, str]]:
        what = described(G)
        NodeClient(node.url, WebClient(5)).put(G, what.triples)
        offered = Offering(graph=G, triples=what.triples, digest=what.digest, claimed_at=1)
        placement = Placement("a b", G, "0xa", 1, 1, 0, what.digest)
        return {
            topics.RING: {RING_KEY: records.to_text(Ring(1, (Node("a b", node.url, "up", 1),), 50, 2))},
            topics.OFFERINGS: {"0xa": records.to_text(offered)},
            topics.PLACEMENTS: {placement_key("a b", G): records.to_text(placement)},
        }

    def test_it_serves_what_the_topics_say_until_it_is_told_to_stop(
        self, environment: Environment, rows: dict[str, dict[str, str]]
    ) -> None:
        environment(HOST_ADDRESS="127.0.0.1", HOST_PORT="0", GATEWAY_ADMIN_PORT="0")
        link = Gateway()
        LinkDriver(link, tables=rows)
        url, admin = (f"http://127.0.0.1:{port_of(server)}" for server in link._servers)
        serving = threading.Thread(target=link.generator, daemon=True)
        serving.start()
        try:
            with urlopen(f"{url}/health", timeout=60) as answer:
                assert json.load(answer) == {"status": "healthy", "epoch": 1}
            with urlopen(f"{admin}/health", timeout=60) as answer:
                health = json.load(answer)
            assert health.pop("view")["state"] in ("building", "complete")
            assert health == {"status": "healthy", "epoch": 1, "nodes": {"a b": "up"}}
            with urlopen(f"{url}/offerings", json.dumps({"offerings_id": "0xa"}).encode(), timeout=60) as answer:
                assert same_graph(answer.read(), described(G))
        finally:
            link.finish()
            serving.join(60)

        assert not serving.is_alive()

    def test_it_answers_from_its_view_once_that_is_complete(
        self, environment: Environment, rows: dict[str, dict[str, str]]
    ) -> None:
        environment(HOST_ADDRESS="127.0.0.1", HOST_PORT="0", SPARQL_CACHE_TTL="0")
        link = Gateway()
        LinkDriver(link, tables=rows)
        url = f"http://127.0.0.1:{port_of(link._servers[0])}"
        serving = threading.Thread(target=link.generator, daemon=True)
        serving.start()
        query = urlencode({"query": "SELECT ?g { GRAPH ?g { ?s a ?type } }", "explain": "json"})

        def is_over_the_view() -> bool:
            with urlopen(f"{url}/sparql?{query}", timeout=120) as answer:
                explained = json.load(answer)
            assert explained["completeness"] == "complete"
            return bool(explained["tier"] == "view")

        try:
            eventually(is_over_the_view, timeout=300)
            with urlopen(f"{url}/health", timeout=120) as answer:
                assert json.load(answer)["view"] == {"state": "complete", "graphs": 1, "of": 1}
        finally:
            link.finish()
            serving.join(60)

    def test_after_a_restart_no_contents_are_held_that_the_disk_has(
        self, environment: Environment, rows: dict[str, dict[str, str]], tmp_path: Path
    ) -> None:
        environment(HOST_ADDRESS="127.0.0.1", HOST_PORT="0", GATEWAY_VIEW_DIRECTORY=str(tmp_path / "view"))
        held = []
        for _ in range(2):
            link = Gateway()
            LinkDriver(link, tables=rows)
            serving = threading.Thread(target=link.generator, daemon=True)
            serving.start()
            try:
                eventually(lambda: link._engine.view == Progress("complete", 1, 1), timeout=300)  # noqa: B023
            finally:
                link.finish()
                serving.join(60)
            held.append(isinstance(link._selector.claims["0xa"], CompressedOffering))

        assert held == [True, False]

    def test_a_directory_for_the_view_that_cannot_be_used_is_told_with_what_to_do(
        self, environment: Environment, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        environment(HOST_ADDRESS="127.0.0.1", HOST_PORT="0", GATEWAY_VIEW_DIRECTORY=str(tmp_path / "file" / "view"))
        link = Gateway()

        with pytest.raises(
            UsageError, match=r"GATEWAY_VIEW_DIRECTORY=.*/file/view cannot be used: Not a directory; name"
        ):
            LinkDriver(link)
        link.finish()

    def test_a_port_that_is_taken_is_told_with_what_to_do(self, environment: Environment) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            environment(HOST_ADDRESS="127.0.0.1", HOST_PORT=str(port))
            link = Gateway()

            with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port} .*HOST_PORT=8080"):
                LinkDriver(link)
            link.finish()


class TestStarting:
    """What is wrong is told, with what to do."""

    def refusal(self) -> str:
        link = Gateway()
        with pytest.raises(CatenaError) as refusal:
            link.start(embedded=True)
        link.join(120)
        return str(refusal.value)

    def test_without_kafka_and_without_a_list(self, environment: Environment) -> None:
        said = self.refusal()

        assert "-k HOST:PORT" in said
        assert "OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json" in said

    def test_with_a_list_that_is_not_there(self, environment: Environment) -> None:
        environment(OPERATOR_PROVIDED="1", CATALOGUE_LIST="nowhere.json")

        assert "CATALOGUE_LIST=nowhere.json, and there is none" in self.refusal()

    def test_with_a_list_that_is_not_switched_on(self, environment: Environment, listed: WriteList) -> None:
        environment(CATALOGUE_LIST=str(listed("http://127.0.0.1:1/catalogue")))

        assert "set OPERATOR_PROVIDED=1" in self.refusal()

    @pytest.mark.parametrize(
        ("content", "told"), [("{}", "names no node"), ("{", "is not a list of nodes"), ('{"a": {}}', "catalogue_url")]
    )
    def test_with_a_list_of_no_use(self, environment: Environment, tmp_path: Path, content: str, told: str) -> None:
        path = tmp_path / "nodes.json"
        path.write_text(content)
        environment(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(path), HOST_PORT="0")

        assert told in self.refusal()

    def test_on_a_port_that_is_taken(self, environment: Environment, listed: WriteList) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            environment(
                OPERATOR_PROVIDED="1",
                CATALOGUE_LIST=str(listed("http://127.0.0.1:1/catalogue")),
                HOST_ADDRESS="127.0.0.1",
                HOST_PORT=str(port),
            )

            assert f"cannot listen on 127.0.0.1:{port}" in self.refusal()
